import { hostname } from "node:os";
import { isOut, readsService } from "../acknowledgement.ts";
import type { Notes } from "../backends/backend.ts";
import { deadline, pause } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import type { Instance } from "../instance.ts";
import {
  decodeOverride,
  encodeOverride,
  type Order,
  type Override,
  type OverrideTarget,
  overrideName,
  withDrain,
  withoutDrain,
} from "../override.ts";
import type { Container } from "../registrator/docker/container.ts";
import { drainOfAll } from "../registrator/rules/drain.ts";
import type { Context } from "./context.ts";
import { orderOf } from "./override-order.ts";
import type { Progress } from "./stop-progress.ts";
import { type LiveTemplater, listed, type Registry } from "./stop-registry.ts";

/** A container that runs here, and what the backend holds of it. */
export interface Registered {
  readonly container: Container;
  readonly instances: readonly Instance[];
}

/** How containers are taken out of rotation. */
export interface DrainOptions {
  /** ms that each wait may take. */
  readonly timeout: number;
  /** Goes on where somebody has not answered in time. */
  readonly force: boolean;
  readonly labelPrefix: string;
  readonly command: "stop" | "rollout";
}

/** Containers that no load balancer sends requests to any more. */
export interface Drained {
  /** Takes the orders to drain back; those of somebody else stay. Never rejects. */
  end(): Promise<void>;
}

/** ms that the backend has to take an order back: the process is to end soon. */
const lastPatience = 3_000;

/**
 * Takes containers out of rotation together: orders the drain, waits until their registrator shows it, until every
 * live templater that reads their services has applied it, and then for the longest `DRAIN` among them. When it
 * rejects, the orders have been taken back: with FAILED naming who has not answered, or with ABORTED.
 */
export async function drainContainers(
  registry: Registry,
  all: readonly Registered[],
  options: DrainOptions,
  { stop }: Pick<Context, "stop">,
  progress: Progress,
): Promise<Drained> {
  const orders = await orderDrains(registry.overrides, all, options.command, stop);
  try {
    await untilOut({ registry, all, options, progress, stop });
    return orders;
  } catch (error) {
    progress.waiting(undefined);
    await orders.end();
    progress.step(`${namesOf(all)}: the drain is taken back`);
    throw error;
  }
}

/** A drain that is under way. */
interface Draining {
  readonly registry: Registry;
  readonly all: readonly Registered[];
  readonly options: DrainOptions;
  readonly progress: Progress;
  readonly stop: AbortSignal;
}

async function untilOut(draining: Draining): Promise<void> {
  const { registry, all, options, progress, stop } = draining;
  const instances = all.flatMap((one) => one.instances);
  await untilShown(draining, instances);
  const before = readersOf(registry, instances);
  if (before.length === 0)
    progress.step(`no templater reads ${listed(servicesOf(instances))}: nobody has to apply it`);
  const isApplied = await untilApplied(draining, instances);
  const containers = all.map(({ container }) => container);
  const ms = drainOfAll(containers, options.labelPrefix);
  if (ms > 0) {
    progress.waiting(`gives requests in flight ${ms / 1000} s`);
    await pause(ms, stop);
    progress.waiting(undefined);
    if (stop.aborted) throw new PortolanError("ABORTED", "interrupted");
    // One that has begun to read meanwhile may not know yet.
    if (isApplied) await untilApplied(draining, instances);
  }
  const live = new Set(registry.templaters().map(({ name }) => name));
  for (const { name } of before)
    if (!live.has(name))
      progress.step(`${name} went meanwhile: nobody knows what its load balancer was told`);
  const silent = new Set(silentAbout(registry, instances));
  const told = readersOf(registry, instances).filter(({ name }) => !silent.has(name));
  progress.step(`${namesOf(all)}: out of rotation${told.length > 0 ? `, applied by ${tellers(told)}` : ""}`);
}

/** Waits until the registrator shows the drain. */
async function untilShown(draining: Draining, instances: readonly Instance[]): Promise<void> {
  const { registry, all, options } = draining;
  const left = await registry.until(
    (names) => `waits until ${listed(names)} drains`,
    () => notDraining(registry, all),
    options.timeout,
  );
  if (left.length === 0) return;
  const nodes = listed([...new Set(instances.map(({ node }) => node))]);
  const what = `the registrator of ${nodes} has not shown ${listed(left)} as draining`;
  late(what, "look whether it runs and is in sync", draining);
}

/** Waits until every live templater has applied the drain; false where one has not, and that is to be so. */
async function untilApplied(draining: Draining, instances: readonly Instance[]): Promise<boolean> {
  const { registry, all, options } = draining;
  const silent = await registry.until(
    (names) => `waits for ${listed(names)} to apply that ${namesOf(all)} drains`,
    () => silentAbout(registry, instances),
    options.timeout,
  );
  if (silent.length === 0) return true;
  const wayOut = "its /status says why; --force does not wait for it any longer";
  late(`not applied by ${listed(silent)}`, wayOut, draining);
  return false;
}

/** Somebody has not answered in time. Throws FAILED, unless the command goes on all the same. */
function late(what: string, wayOut: string, { options, progress }: Draining): void {
  const sentence = `${what} within ${options.timeout / 1000} s`;
  if (!options.force) throw new PortolanError("FAILED", `${sentence}; ${wayOut}`);
  progress.step(`${sentence}; going on, for --force is given`);
}

const namesOf = (all: readonly Registered[]) => listed(all.map(({ container }) => container.name));
const tellers = (templaters: readonly LiveTemplater[]) => listed(templaters.map(({ name }) => name));

/** The services of these instances, each once. */
export const servicesOf = (instances: readonly Instance[]): readonly string[] => [
  ...new Set(instances.map(({ service }) => service)),
];

/** The containers of which the backend shows an instance that does not drain. */
function notDraining(registry: Registry, all: readonly Registered[]): readonly string[] {
  const now = registry.instances();
  const isLeft = ({ instances }: Registered) =>
    instances.some((one) => now.some((other) => isSame(one, other) && other.state !== "draining"));
  return all.filter(isLeft).map(({ container }) => container.name);
}

/** Whether both are records of one instance in one container. */
const isSame = (a: Instance, b: Instance) =>
  a.service === b.service && a.id === b.id && a.container?.id === b.container?.id;

function readersOf(registry: Registry, instances: readonly Instance[]): readonly LiveTemplater[] {
  const services = servicesOf(instances);
  return registry
    .templaters()
    .filter(({ note }) => note === undefined || services.some((service) => readsService(note, service)));
}

/** The templaters that have not applied yet that these instances are out of rotation. */
function silentAbout(registry: Registry, instances: readonly Instance[]): readonly string[] {
  const now = registry.instances();
  const isThere = (one: Instance) => now.some((other) => isSame(one, other));
  return readersOf(registry, instances)
    .filter(({ note }) => note === undefined || !instances.every((one) => isOut(note, one, isThere(one))))
    .map(({ name }) => name);
}

/** Writes an order to drain for each instance; those that drain already by somebody's order are left as they are. */
async function orderDrains(
  notes: Notes,
  all: readonly Registered[],
  command: string,
  stop: AbortSignal,
): Promise<Drained> {
  const now = orderOf(undefined, hostname());
  const order: Order = { ...now, by: `${now.by} (${command})` };
  const targets = all.flatMap(({ container, instances }) =>
    instances.map(({ id, node }): OverrideTarget => ({ id, node, container: container.id })),
  );
  const ordered: OverrideTarget[] = [];
  const end = async () => {
    const limit = deadline(lastPatience);
    const left = await notes.list(limit).catch(() => new Map<string, string>());
    for (const target of ordered) {
      const override = readOverride(overrideName(target), left);
      if (override?.drain?.by !== order.by || override.drain.since !== order.since) continue;
      await write(notes, withoutDrain(override), limit).catch(() => {});
    }
  };
  try {
    const there = targets.length > 0 ? await notes.list(stop) : new Map<string, string>();
    for (const target of targets) {
      const before = readOverride(overrideName(target), there);
      if (before?.drain && before.target.container === target.container) continue;
      ordered.push(target);
      await write(notes, withDrain(target, before, order), stop);
    }
    return { end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** One that cannot be read counts as none: it is replaced. */
function readOverride(name: string, notes: ReadonlyMap<string, string>): Override | undefined {
  const text = notes.get(name);
  try {
    return text === undefined ? undefined : decodeOverride(name, text, `overrides/${name}`);
  } catch {
    return undefined;
  }
}

async function write(notes: Notes, override: Override, signal: AbortSignal): Promise<void> {
  const name = overrideName(override.target);
  const text = encodeOverride(override);
  await (text === undefined ? notes.remove(name, signal) : notes.put(name, text, signal));
}
