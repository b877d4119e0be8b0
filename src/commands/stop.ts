import { PortolanError } from "../errors.ts";
import { stopContainer } from "../registrator/docker/stop.ts";
import type { Context } from "./context.ts";
import { findContainer } from "./find-container.ts";
import { late, type Replacing, takeOutOfRotation } from "./out-of-rotation.ts";
import { createProgress, listed } from "./progress.ts";
import { lookAt, type Registered, registeredOn } from "./registered-containers.ts";
import { openRegistry } from "./registry.ts";

/**
 * `portolan stop`: takes containers out of rotation together, waits until every live templater that reads their
 * services has applied that and for their `DRAIN`, then stops them and waits until their records are gone.
 */
export async function runStop(context: Context): Promise<number> {
  const { settings } = context;
  if (settings.names.length === 0)
    throw new PortolanError("USAGE", "stop needs a container: its name, its id, or the beginning of its id");
  const progress = createProgress(context);
  const look = await lookAt(context);
  const wanted = settings.names.map((name) => findContainer(name, look.known));
  const registry = await openRegistry(context, progress);
  try {
    const running = registeredOn(look, registry.instances(), settings.values.node);
    const all = running.filter(({ container }) => wanted.some(({ id }) => id === container.id));
    for (const { id, name, state } of wanted)
      if (!all.some(({ container }) => container.id === id)) progress.step(`${name} does not run (${state})`);
    const registered = all.filter(({ instances }) => instances.length > 0);
    for (const { container, instances } of all)
      if (instances.length === 0)
        progress.step(
          `${container.name} is not registered in ${registry.title}: it is stopped without a drain`,
        );
    const replacing = { context, registry, progress };
    const orders = registered.length > 0 ? await takeOutOfRotation(registered, replacing) : undefined;
    try {
      await stopAll(all, context, replacing);
      await untilGone(registered, replacing);
    } finally {
      progress.waiting(undefined);
      await orders?.takeBack();
    }
    return 0;
  } finally {
    await registry.close();
  }
}

/** Stops them together. Each that has ended is printed, also where another one cannot be stopped. */
async function stopAll(
  all: readonly Registered[],
  { settings, env, stop, print }: Context,
  { progress }: Replacing,
): Promise<void> {
  progress.waiting(`stops ${listed(all.map(({ container }) => container.name))}`);
  const outcomes = await Promise.allSettled(
    all.map(async ({ container }) => {
      await stopContainer(settings.values.docker, env, container, stop);
      print(`${container.name}\n`);
    }),
  );
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

/** Waits until nothing is offered of the containers any more. What `--deregister never` keeps is unhealthy. */
async function untilGone(all: readonly Registered[], replacing: Replacing): Promise<void> {
  const { registry, context } = replacing;
  const isThere = ({ container: { id } }: Registered) =>
    registry
      .instances()
      .some(({ container, state }) => container?.id === id && (state === "ready" || state === "draining"));
  const left = await registry.until(
    (names) => `waits until the records of ${listed(names)} are gone`,
    () => all.filter(isThere).map(({ container }) => container.name),
    context.settings.values.timeout,
  );
  if (left.length > 0)
    late(
      `${listed(left)} is stopped, but its records have not gone`,
      "look whether its registrator runs",
      replacing,
    );
}
