import type { Snapshot } from "../backends/backend.ts";
import { compare, type Instance } from "../instance.ts";
import type { Log } from "../log.ts";
import type { Observed } from "../source.ts";

/** A service of which several ready instances claim at once, by a lock or a probe, to be the master. */
export interface ContestedService {
  readonly code: "TWO_MASTERS";
  readonly service: string;
  /** Who claims it, in order. */
  readonly ids: readonly string[];
}

/** Whether anybody disputes who is master. Files show one at most; this is for people to look at their servers. */
export interface Contested {
  /** The observation has changed: tells of each dispute that begins, changes or is over. */
  see(observed: Observed<Snapshot>): void;
  status(): readonly ContestedService[];
}

/** One line for each dispute, and one when it is over. */
export function createContested(log: Log): Contested {
  /** Disputes by the very list of instances, which is the same as long as nothing in it has changed. */
  const known = new WeakMap<readonly Instance[], readonly string[]>();
  let current: ReadonlyMap<string, readonly string[]> = new Map();

  const claimantsOf = (instances: readonly Instance[]): readonly string[] => {
    const before = known.get(instances);
    if (before) return before;
    const ids = claimants(instances);
    known.set(instances, ids);
    return ids;
  };

  return {
    see(observed) {
      if (!observed.known) return;
      const before = current;
      const next = new Map<string, readonly string[]>();
      for (const [service, list] of observed.value.services) {
        const ids = claimantsOf(list);
        if (ids.length > 1) next.set(service, ids);
      }
      current = next;
      for (const [service, ids] of current) {
        if (before.get(service)?.join() === ids.join()) continue;
        log.error(
          { service, ids, code: "TWO_MASTERS" },
          "several live instances claim to be the master; files show one at most: end the wrong one",
        );
      }
      for (const service of before.keys())
        if (!current.has(service))
          log.info({ service }, "no longer several instances claim to be the master");
    },
    status: () => [...current].map(([service, ids]) => ({ code: "TWO_MASTERS", service, ids })),
  };
}

function claimants(instances: readonly Instance[]): readonly string[] {
  return instances
    .filter(({ role, claim, state }) => role === "master" && claim !== undefined && state === "ready")
    .map(({ id }) => id)
    .sort(compare);
}
