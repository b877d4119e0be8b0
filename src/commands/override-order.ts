import { userInfo } from "node:os";
import type { Backend, Notes, Observation, Snapshot } from "../backends/backend.ts";
import { openBackend } from "../backends/index.ts";
import { deadline, wallTimeIn } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import type { Instance } from "../instance.ts";
import { type Order, type Override, type OverrideTarget, overrideName } from "../override.ts";
import type { Context } from "./context.ts";
import { byId, type Ordered, ofNode } from "./order-target.ts";
import { changeOverride, readOverrides } from "./override-notes.ts";
import { settle } from "./settle.ts";
import { createWaitLine } from "./wait-line.ts";

/** ms that a backend has for its first answer. */
const patience = 10_000;

/** What an operator orders of a target. */
export interface OverrideOrder {
  /** The override from now on; undefined where there is nothing left to order. Throws where that cannot be. */
  change(
    ordered: Ordered & {
      readonly before: Override | undefined;
      /** Every override of the backend by its name, as far as it can be read. */
      readonly all: ReadonlyMap<string, Override>;
      /** False where records hold no tags, and name neither their owner nor their container. */
      readonly isWhole: boolean;
    },
  ): Override | undefined;
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
  context: Context,
  named: { readonly id: string } | { readonly node: string },
  order: OverrideOrder,
): Promise<number> {
  const { settings, env, stop, print } = context;
  const { timeout, backend: urls } = settings.values;
  const { during } = createWaitLine(context);
  const backend = await openBackend(urls[0] ?? "", { env, onlyLooks: true });
  try {
    const notes = backend.notes?.("overrides");
    if (!notes) {
      const way = "use a backend that keeps notes, or change the container's labels and start it anew";
      throw new PortolanError("FAILED", `${backend.title} cannot hold overrides; ${way}`);
    }
    const observation = backend.observe({ services: "all" });
    try {
      const look = () => recordsOf(observation);
      const records = await during(`waits for ${backend.title} to answer`, () =>
        settle(observation, backend.title, look, patience, stop),
      );
      const all = await readOverrides(notes, backend.title, deadline(patience, stop));
      const places = { records, all, isWhole: backend.listed === undefined };
      const { target, instances } =
        "id" in named
          ? byId(named.id, places)
          : await ofNode(named.node, places, async () => (await lives(backend, named.node, stop)) === true);
      const { isWhole } = places;
      const text = await changeOverride(
        { notes, title: backend.title },
        target,
        (before, all) => order.change({ target, instances, before, all, isWhole }),
        deadline(patience, stop),
      );
      const about = target.id ?? `node ${target.node}`;
      const ids = new Set(instances.map(({ id }) => id));
      const isShown = () => {
        const its = look()?.filter(({ id, node }) => node === target.node && ids.has(id));
        return its?.every(order.shows) ? true : undefined;
      };
      const shown = await during(`waits for the registrator of ${target.node} to apply it`, () =>
        settle(observation, backend.title, isShown, timeout, stop),
      ).catch((error: unknown) => {
        if (stop.aborted) throw error;
        return false;
      });
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

/** Whether a registrator of the node lives; undefined where that cannot be told. */
async function lives(backend: Backend, node: string, stop: AbortSignal): Promise<boolean | undefined> {
  const living = await backend.living?.(new Set([node]), deadline(patience, stop)).catch(() => undefined);
  return living?.has(node);
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
  const isAlive = await lives(backend, node, stop);
  const texts = await notes.list(deadline(patience, stop)).catch(() => undefined);
  const late = `${target.id ?? `node ${node}`} does not show it after ${timeout / 1000} s`;
  if (isAlive === false) {
    return new PortolanError(
      "FAILED",
      `${late}: no registrator of node ${node} is alive; it is applied when one is back`,
    );
  }
  if (texts === undefined) {
    return new PortolanError("FAILED", `${late}: ${backend.title} does not answer any more`);
  }
  if (texts.get(name) !== text) {
    return new PortolanError(
      "FAILED",
      `${late}: the override was changed meanwhile, by another command or because its time is over (do the clocks agree?)`,
    );
  }
  return new PortolanError(
    "FAILED",
    `${late}: the registrator of node ${node} has not applied it; its log and /status say why`,
  );
}
