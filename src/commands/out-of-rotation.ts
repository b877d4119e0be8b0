import { isOut, readsService } from "../acknowledgement.ts";
import { pause } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import type { Instance } from "../instance.ts";
import { drainOfAll } from "../registrator/rules/drain.ts";
import type { Context } from "./context.ts";
import { type DrainOrders, orderDrains } from "./drain-orders.ts";
import { listed, type Progress } from "./progress.ts";
import { type Registered, servicesOf } from "./registered-containers.ts";
import type { LiveTemplater, Registry } from "./registry.ts";

/**
 * ms for templaters whose notes still tell of an earlier drain, to tell that its end has come to them: a file in hand
 * may yet offer the instance.
 */
const catchUp = 2_000;

/** What containers are taken out of rotation with. */
export interface Replacing {
  readonly context: Pick<Context, "command" | "settings" | "stop">;
  readonly registry: Registry;
  readonly progress: Progress;
}

/**
 * Takes containers out of rotation together: orders the drain, waits until their registrator shows it, until every
 * live templater that reads their services has applied it, and then for the longest `DRAIN` among them. When it
 * rejects, the orders have been taken back: with FAILED naming who has not answered, or with ABORTED.
 */
export async function takeOutOfRotation(
  all: readonly Registered[],
  replacing: Replacing,
): Promise<DrainOrders> {
  const { context, registry, progress } = replacing;
  const atLeast = haveOldNotes(all, registry) ? catchUp : 0;
  const orders = await orderDrains(registry, all, context, progress);
  try {
    await untilOut(all, atLeast, replacing);
    return orders;
  } catch (error) {
    if (orders.isOurs) progress.step(`${namesOf(all)}: takes the drain back`);
    await orders.takeBack();
    throw error;
  }
}

/** `atLeast`: ms between the moment at which all seem to have applied it and the last look. */
async function untilOut(all: readonly Registered[], atLeast: number, replacing: Replacing): Promise<void> {
  const { context, registry, progress } = replacing;
  const instances = all.flatMap((one) => one.instances);
  const before = readersOf(instances, registry);
  if (before.length === 0)
    progress.step(`no templater reads ${listed(servicesOf(instances))}: nobody has to apply it`);
  const isOutEverywhere = await untilApplied(all, replacing);
  const containers = all.map(({ container }) => container);
  const ms = Math.max(atLeast, drainOfAll(containers, context.settings.values.labelPrefix));
  if (ms > 0) {
    progress.waiting(`gives requests in flight ${ms / 1000} s`);
    await pause(ms, context.stop);
    progress.waiting(undefined);
    if (context.stop.aborted) throw new PortolanError("ABORTED", "interrupted");
    // A templater that has started meanwhile may not know yet, and somebody may have undrained it.
    if (isOutEverywhere) await untilApplied(all, replacing);
  }
  const live = new Set(registry.templaters().map(({ name }) => name));
  for (const { name } of before)
    if (!live.has(name))
      progress.step(`${name} went meanwhile: nobody knows what its load balancer was told`);
  const silent = new Set(silentAbout(instances, registry));
  const told = readersOf(instances, registry).flatMap(({ name }) => (silent.has(name) ? [] : name));
  progress.step(`${namesOf(all)}: out of rotation${told.length > 0 ? `, applied by ${listed(told)}` : ""}`);
}

/**
 * Waits until the registrator shows the drain and every live templater has applied it; false where somebody has not,
 * and the command is to go on all the same.
 */
async function untilApplied(all: readonly Registered[], replacing: Replacing): Promise<boolean> {
  const { registry, context } = replacing;
  const { timeout } = context.settings.values;
  const instances = all.flatMap((one) => one.instances);
  const shown = await registry.until(
    (left) => `waits until ${listed(left)} drains`,
    () => notDraining(all, registry),
    timeout,
  );
  if (shown.length > 0) {
    const nodes = listed([...new Set(instances.map(({ node }) => node))]);
    const what = `the registrator of ${nodes} has not shown ${listed(shown)} as draining`;
    late(what, "look whether it runs and is in sync, and whether somebody has undrained it", replacing);
  }
  const silent = await registry.until(
    (left) => `waits for ${listed(left)} to apply that ${namesOf(all)} drains`,
    () => silentAbout(instances, registry),
    timeout,
  );
  if (silent.length > 0)
    late(
      `not applied by ${listed(silent)}`,
      "its /status says why; --force does not wait for it any longer",
      replacing,
    );
  return shown.length + silent.length === 0;
}

/** Somebody has not answered in time. Throws FAILED, unless the command goes on all the same. */
export function late(what: string, wayOut: string, { context, progress }: Replacing): void {
  const { timeout, force } = context.settings.values;
  const sentence = `${what} within ${timeout / 1000} s`;
  if (!force) throw new PortolanError("FAILED", `${sentence}; ${wayOut}`);
  progress.step(`${sentence}; going on, for --force is given`);
}

const namesOf = (all: readonly Registered[]) => listed(all.map(({ container }) => container.name));

/** The containers of which the backend shows an instance that does not drain. */
function notDraining(all: readonly Registered[], registry: Registry): readonly string[] {
  const now = registry.instances();
  const isLeft = ({ instances }: Registered) =>
    instances.some((one) => now.some((other) => isSame(one, other) && other.state !== "draining"));
  return all.filter(isLeft).map(({ container }) => container.name);
}

/** Whether both are records of one instance in one container. */
const isSame = (a: Instance, b: Instance) =>
  a.service === b.service && a.id === b.id && a.container?.id === b.container?.id;

function readersOf(instances: readonly Instance[], registry: Registry): readonly LiveTemplater[] {
  const services = servicesOf(instances);
  return registry
    .templaters()
    .filter(({ note }) => note === undefined || services.some((service) => readsService(note, service)));
}

/** Whether a templater tells that an instance drains which does not: it has not told yet of what came after that. */
function haveOldNotes(all: readonly Registered[], registry: Registry): boolean {
  const running = all.flatMap(({ instances }) => instances).filter(({ state }) => state !== "draining");
  return readersOf(running, registry).some(
    ({ note }) =>
      note !== undefined && running.some((one) => readsService(note, one.service) && isOut(note, one, true)),
  );
}

/** The templaters that have not applied yet that these instances are out of rotation. */
function silentAbout(instances: readonly Instance[], registry: Registry): readonly string[] {
  const now = registry.instances();
  const isThere = (one: Instance) => now.some((other) => isSame(one, other));
  return readersOf(instances, registry)
    .filter(({ note }) => note === undefined || !instances.every((one) => isOut(note, one, isThere(one))))
    .map(({ name }) => name);
}
