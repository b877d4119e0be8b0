import { deadline } from "../clock.ts";
import type { Instance } from "../instance.ts";
import type { Container } from "../registrator/docker/container.ts";
import { type Look, lookAtDocker } from "../registrator/look.ts";
import type { Context } from "./context.ts";
import { registratorSettings } from "./registrator.ts";

/** A container that runs here, and what the backend holds of it. */
export interface Registered {
  readonly container: Container;
  readonly instances: readonly Instance[];
}

/** ms that Docker has for all its answers. */
const patience = 15_000;

/** One look at the Docker of a command. Rejects with Docker's own problem. */
export function lookAt({ settings, env, stop }: Pick<Context, "settings" | "env" | "stop">): Promise<Look> {
  const rules = registratorSettings(settings, () => false);
  return lookAtDocker(settings.values.docker, rules, env, deadline(patience, stop));
}

/** Every container that runs, with those of the backend's instances that are its own, by name. */
export function registeredOn(
  { engine }: Pick<Look, "engine">,
  instances: readonly Instance[],
  node: string | undefined,
): readonly Registered[] {
  return [...engine.containers.values()]
    .map((container) => ({
      container,
      instances: instances.filter((one) => isOf(one, container, node ?? engine.hostname)),
    }))
    .sort((a, b) => byName(a.container.name, b.container.name));
}

/** Some layouts hold no container: there the id tells, unless somebody has given it. */
function isOf(one: Instance, { id, name }: Registered["container"], node: string): boolean {
  if (one.container !== undefined) return one.container.id === id;
  return one.id.startsWith(`${node}:${name}:`);
}

/** `web-2` comes before `web-10`. */
const byName = (a: string, b: string) => a.localeCompare(b, "en", { numeric: true });

/** The services of these instances, each once. */
export const servicesOf = (instances: readonly Instance[]): readonly string[] => [
  ...new Set(instances.map(({ service }) => service)),
];
