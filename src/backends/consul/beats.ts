import { monotonic } from "../../clock.ts";
import type { ConsulApi } from "./api.ts";

/** The heartbeats of the TTL checks that containers ordered. */
export interface Beats {
  /** Keeps the checks of an instance; they say whether its container `runs`. */
  keep(instance: string, checks: readonly TtlCheck[], runs: boolean): void;
  /** Keeps none of any other instance. */
  only(instances: ReadonlySet<string>): void;
  /** Beats those of an instance at once. */
  now(instance: string, signal: AbortSignal): Promise<void>;
  /** Beats those whose last beat is a third of their time to live ago. */
  due(signal: AbortSignal): Promise<void>;
}

/** A check that is critical after `ttl` seconds without a beat. */
export interface TtlCheck {
  readonly id: string;
  readonly ttl: number;
}

interface Kept extends TtlCheck {
  readonly runs: boolean;
  /** When it was beaten last, in ms. */
  last: number;
}

/** Heartbeats in flight at once. */
const parallel = 16;

/** The heartbeats of one lease; asks nothing by itself. */
export function createBeats(api: ConsulApi): Beats {
  const kept = new Map<string, readonly Kept[]>();

  const beat = async (check: Kept, signal: AbortSignal) => {
    const at = monotonic();
    const status = check.runs ? "passing" : "critical";
    const output = check.runs ? "its container runs" : "its container does not work";
    // One that is gone from the agent is for `owned` to notice.
    await api.update(check.id, status, output, signal);
    check.last = at;
  };

  const beatAll = async (checks: readonly Kept[], signal: AbortSignal) => {
    const rest = [...checks];
    const some = async () => {
      for (let next = rest.pop(); next; next = rest.pop()) await beat(next, signal);
    };
    await Promise.all(Array.from({ length: Math.min(parallel, rest.length) }, some));
  };

  return {
    keep(instance, checks, runs) {
      const before = kept.get(instance) ?? [];
      const lastOf = (id: string) =>
        before.find((check) => check.id === id)?.last ?? Number.NEGATIVE_INFINITY;
      if (checks.length === 0) kept.delete(instance);
      else
        kept.set(
          instance,
          checks.map(({ id, ttl }) => ({ id, ttl, runs, last: lastOf(id) })),
        );
    },
    only(instances) {
      for (const instance of kept.keys()) if (!instances.has(instance)) kept.delete(instance);
    },
    now: (instance, signal) => beatAll(kept.get(instance) ?? [], signal),
    due(signal) {
      const now = monotonic();
      // A timer may be early by a fraction of a millisecond, and must not skip a turn for it.
      const isDue = ({ last, ttl }: Kept) => now - last >= (ttl * 1000) / 3 - 50;
      return beatAll([...kept.values()].flat().filter(isDue), signal);
    },
  };
}
