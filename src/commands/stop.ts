import { PortolanError } from "../errors.ts";
import { stopContainer } from "../registrator/docker/stop.ts";
import type { Context } from "./context.ts";
import { findContainer } from "./find-container.ts";
import { lookAt, registeredOn } from "./stop-containers.ts";
import { drainContainers, type Registered } from "./stop-drain.ts";
import { createProgress } from "./stop-progress.ts";
import { listed, openRegistry, type Registry } from "./stop-registry.ts";

/**
 * `portolan stop`: takes containers out of rotation together, waits until every live templater that reads their
 * services has applied that and for their `DRAIN`, then stops them and waits until their records are gone.
 */
export async function runStop(context: Context): Promise<number> {
  const { settings, env, stop } = context;
  const { docker, node, timeout, force, labelPrefix } = settings.values;
  if (settings.names.length === 0)
    throw new PortolanError("USAGE", "stop needs a container: its name, its id, or the beginning of its id");
  const progress = createProgress(context);
  const look = await lookAt(context);
  const wanted = settings.names.map((name) => findContainer(name, look.known));
  const registry = await openRegistry(context, progress);
  try {
    const running = registeredOn(look, registry, node);
    const all = running.filter(({ container }) => wanted.some(({ id }) => id === container.id));
    for (const { id, name, state } of wanted)
      if (!all.some(({ container }) => container.id === id)) progress.step(`${name} does not run (${state})`);
    for (const { container, instances } of all)
      if (instances.length === 0)
        progress.step(
          `${container.name} is not registered in ${registry.title}: it is stopped without a drain`,
        );
    const registered = all.filter(({ instances }) => instances.length > 0);
    const options = { timeout, force, labelPrefix, command: "stop" } as const;
    const drained =
      registered.length > 0
        ? await drainContainers(registry, registered, options, context, progress)
        : undefined;
    try {
      progress.waiting(`stops ${listed(all.map(({ container }) => container.name))}`);
      await Promise.all(
        all.map(async ({ container }) => {
          await stopContainer(docker, env, container, stop);
          context.print(`${container.name}\n`);
        }),
      );
      await untilGone(registry, registered, timeout);
    } finally {
      progress.waiting(undefined);
      await drained?.end();
    }
    return 0;
  } finally {
    await registry.close();
  }
}

/** Waits until nothing is offered of the containers any more. What `--deregister never` keeps is unhealthy. */
async function untilGone(registry: Registry, all: readonly Registered[], timeout: number): Promise<void> {
  const isThere = ({ container: { id } }: Registered) =>
    registry
      .instances()
      .some(({ container, state }) => container?.id === id && (state === "ready" || state === "draining"));
  const left = await registry.until(
    (names) => `waits until the records of ${listed(names)} are gone`,
    () => all.filter(isThere).map(({ container }) => container.name),
    timeout,
  );
  if (left.length > 0)
    throw new PortolanError(
      "FAILED",
      `${listed(left)} is stopped, but after ${timeout / 1000} s its records are still there; look whether its registrator runs`,
    );
}
