import { userInfo } from "node:os";
import type { Backend, Notes, Observation, Snapshot } from "../backends/backend.ts";
import { openBackend } from "../backends/index.ts";
import { deadline, wallTimeIn } from "../clock.ts";
import { nearest } from "../config/nearest.ts";
import { PortolanError } from "../errors.ts";
import type { Instance } from "../instance.ts";
import {
  decodeOverride,
  encodeOverride,
  type Order,
  type Override,
  type OverrideTarget,
  overrideName,
} from "../override.ts";
import type { Context } from "./context.ts";
import { settle } from "./settle.ts";

/** ms that a backend has for its first answer. */
const patience = 10_000;

/** What an operator orders of a target. */
export interface OverrideOrder {
  /** The override from now on; undefined where there is nothing left to order. Throws where that cannot be. */
  change(ordered: {
    readonly target: OverrideTarget;
    readonly instances: readonly Instance[];
    readonly before: Override | undefined;
    /** Every override of the backend by its name, as far as it can be read. */
    readonly all: ReadonlyMap<string, Override>;
  }): Override | undefined;
  /** Whether a record shows that it is done. */
  shows(instance: Instance): boolean;
  /** In words, for people. */
  readonly done: string;
}

/**
 * Writes what is ordered of an instance, by its id or the beginning of that, or of a whole node, and waits until
 * the records show it. Resolves with the exit code.
 */
export async function orderOverride(
  { settings, env, stop, print }: Context,
  named: { readonly id: string } | { readonly node: string },
  order: OverrideOrder,
): Promise<number> {
  const { timeout, backend: urls } = settings.values;
  const backend = await openBackend(urls[0] ?? "", { env });
  try {
    const notes = backend.notes?.("overrides");
    if (!notes) {
      const way = "use a backend that keeps notes, or change the container's labels and start it anew";
      throw new PortolanError("FAILED", `${backend.title} cannot hold overrides; ${way}`);
    }
    const observation = backend.observe({ services: "all" });
    try {
      const look = () => recordsOf(observation);
      const records = await settle(observation, backend.title, look, patience, stop);
      const { target, instances } = "id" in named ? byId(named.id, records) : ofNode(named.node, records);
      const all = await readAll(notes, backend, stop);
      const name = overrideName(target);
      const next = order.change({ target, instances, before: all.get(name), all });
      const text = next && encodeOverride(next);
      if (text === undefined) await notes.remove(name, deadline(patience, stop));
      else await notes.put(name, text, deadline(patience, stop));
      const about = target.id ?? `node ${target.node}`;
      const ids = new Set(instances.map(({ id }) => id));
      const isShown = () => {
        const its = look()?.filter(({ id, node }) => node === target.node && ids.has(id));
        return its?.every(order.shows) ? true : undefined;
      };
      const shown = await settle(observation, backend.title, isShown, timeout, stop).catch(
        (error: unknown) => {
          if (stop.aborted) throw error;
          return false;
        },
      );
      if (!shown) throw await whyNot(target, { backend, notes, text, timeout, stop });
      print(`${about}: ${order.done}\n`);
      return 0;
    } finally {
      await observation.close();
    }
  } finally {
    await backend.close();
  }
}

/** An order of now. `lasts` in ms; undefined: until it is taken back. */
export function orderOf(lasts: number | undefined, host: string): Order {
  const until = lasts === undefined ? {} : { until: wallTimeIn(lasts) };
  return { since: wallTimeIn(0), by: `${userName()}@${host}`, ...until };
}

/** Not every user of a container has a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}

function recordsOf(observation: Observation): readonly Instance[] | undefined {
  const observed = observation.current();
  if (!observed.known || !observed.value.complete) return undefined;
  return allOf(observed.value);
}

function allOf({ services }: Snapshot): readonly Instance[] {
  return [...services.values()].flat();
}

type Ordered = { readonly target: OverrideTarget; readonly instances: readonly Instance[] };

/** Throws FAILED for an id that is unknown, begins several ids, or is no registrator's. */
function byId(wanted: string, records: readonly Instance[]): Ordered {
  const exact = records.filter(({ id }) => id === wanted);
  const found = exact.length > 0 ? exact : records.filter(({ id }) => id.startsWith(wanted));
  const ids = [...new Set(found.map(({ id }) => id))];
  const [first] = found;
  if (!first) {
    const close = nearest(
      wanted,
      records.map(({ id }) => id),
    );
    const hint = close === undefined ? "the backend holds none" : `the nearest id is ${close}`;
    throw new PortolanError("FAILED", `there is no instance ${wanted}; ${hint}`);
  }
  if (ids.length > 1) {
    throw new PortolanError("FAILED", `${wanted} begins several ids: ${ids.join(", ")}; give more of it`);
  }
  const { id, node, container, owner } = first;
  if (owner === undefined || container === undefined) {
    const why = "was not registered by Portolan, so nobody would apply the order";
    throw new PortolanError("FAILED", `${id} ${why}; change it where it was registered`);
  }
  const nodes = new Set(found.map((one) => one.node));
  if (nodes.size > 1) {
    throw new PortolanError(
      "FAILED",
      `${id} stands on several nodes: ${[...nodes].join(", ")}; give each its own id`,
    );
  }
  return { target: { id, node, container: container.id }, instances: found };
}

/** Throws FAILED for a node of which the backend holds nothing. */
function ofNode(node: string, records: readonly Instance[]): Ordered {
  const isOwned = ({ owner }: Instance) => owner !== undefined;
  const instances = records.filter((one) => one.node === node && isOwned(one));
  if (instances.length > 0) return { target: { node }, instances };
  const close = nearest(
    node,
    records.filter(isOwned).map((one) => one.node),
  );
  const hint = close === undefined ? "the backend holds no instance" : `the nearest node is ${close}`;
  throw new PortolanError("FAILED", `no instance runs on a node ${node}; ${hint}`);
}

/** What cannot be read counts for nobody, and is written anew. */
async function readAll(
  notes: Notes,
  { title }: Backend,
  stop: AbortSignal,
): Promise<ReadonlyMap<string, Override>> {
  const texts = await notes.list(deadline(patience, stop));
  return new Map(
    [...texts].flatMap(([name, text]): (readonly [string, Override])[] => {
      try {
        return [[name, decodeOverride(name, text, `${title}: overrides/${name}`)]];
      } catch {
        return [];
      }
    }),
  );
}

/** Why the records do not show in time what was ordered. The order itself stands. */
async function whyNot(
  target: OverrideTarget,
  it: {
    readonly backend: Backend;
    readonly notes: Notes;
    readonly text: string | undefined;
    readonly timeout: number;
    readonly stop: AbortSignal;
  },
): Promise<PortolanError> {
  const { backend, notes, text, timeout, stop } = it;
  const { node } = target;
  const name = overrideName(target);
  const living = await backend.living?.(new Set([node]), deadline(patience, stop)).catch(() => undefined);
  const texts = await notes.list(deadline(patience, stop)).catch(() => undefined);
  const late = `${target.id ?? `node ${node}`} does not show it after ${timeout / 1000} s`;
  if (living?.has(node) === false) {
    return new PortolanError(
      "FAILED",
      `${late}: no registrator of node ${node} is alive; it is applied when one is back`,
    );
  }
  if (texts && texts.get(name) !== text) {
    return new PortolanError(
      "FAILED",
      `${late}: the override was changed meanwhile, by another command or because its time is over (do the clocks agree?)`,
    );
  }
  return new PortolanError(
    "FAILED",
    `${late}: the registrator of node ${node} has not applied it; its log and /status say why (an elected or probed role cannot be set by a tag)`,
  );
}
