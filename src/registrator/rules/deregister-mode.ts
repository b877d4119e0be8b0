import type { Container } from "../docker/container.ts";
import type { RegistratorSettings } from "../settings.ts";
import { readLabels } from "./labels.ts";

const modes: readonly RegistratorSettings["deregister"][] = ["always", "on-success", "never"];

/** When the records of a container go that ended: as its label or variable DEREGISTER says, else as for all. */
export function deregisterModeOf(
  container: Pick<Container, "labels" | "env">,
  { deregister, labelPrefix }: Pick<RegistratorSettings, "deregister" | "labelPrefix">,
): RegistratorSettings["deregister"] {
  const given = readLabels(container, undefined, labelPrefix).get("deregister")?.value.trim();
  return modes.find((mode) => mode === given) ?? deregister;
}
