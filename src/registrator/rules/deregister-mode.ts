import type { Container } from "../docker/container.ts";
import type { RegistratorSettings } from "../settings.ts";

const modes: readonly RegistratorSettings["deregister"][] = ["always", "on-success", "never"];

/** When the records of a container go that ended: as its label or variable DEREGISTER says, else as for all. */
export function deregisterModeOf(
  { labels, env }: Pick<Container, "labels" | "env">,
  { deregister, labelPrefix }: Pick<RegistratorSettings, "deregister" | "labelPrefix">,
): RegistratorSettings["deregister"] {
  const key = `${labelPrefix}DEREGISTER`;
  const given = labels[key] || env[key];
  return modes.find((mode) => mode === given) ?? deregister;
}
