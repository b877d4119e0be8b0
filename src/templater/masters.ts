import type { Instance } from "../instance.ts";

/**
 * The instances of one service with at most one master among those that say so by a lock or a probe; what a
 * label says stands as it is. One that is ready goes before others. The highest epoch wins where all claims come
 * from one judge that counts; else the incumbent stays as long as it claims; two without an incumbent are none.
 * Whoever loses has no role. Returns the same list when nothing is to be changed.
 */
export function withOneMaster(
  instances: readonly Instance[],
  incumbent: string | undefined,
): readonly Instance[] {
  const claimants = instances.filter(({ role, claim }) => role === "master" && claim !== undefined);
  if (claimants.length < 2) return instances;
  const ready = claimants.filter(({ state }) => state === "ready");
  const best = highest(ready.length > 0 ? ready : claimants);
  const winner = best.length === 1 ? best[0] : best.find(({ id }) => id === incumbent);
  return instances.map((one) => (claimants.includes(one) && one !== winner ? withoutRole(one) : one));
}

/** Those with the highest epoch; all where epochs cannot be compared. */
function highest(claimants: readonly Instance[]): readonly Instance[] {
  const judges = new Set(claimants.map(({ claim }) => claim?.by));
  const epochs = claimants.map(({ claim }) => epochOf(claim?.epoch));
  if (judges.size > 1 || epochs.every((epoch) => epoch === undefined)) return claimants;
  const top = epochs.reduce((a, b) => ((b ?? -1n) > (a ?? -1n) ? b : a));
  return claimants.filter((_, at) => epochs[at] === top);
}

function epochOf(text: string | undefined): bigint | undefined {
  return text !== undefined && /^\d{1,40}$/.test(text) ? BigInt(text) : undefined;
}

/** Equal instances give the same object, so that nothing seems to have changed. */
const demoted = new WeakMap<Instance, Instance>();

/** The instance as one that says nothing of a role, in its tags neither. */
export function withoutRole(instance: Instance): Instance {
  const before = demoted.get(instance);
  if (before) return before;
  const { role, claim: _, tags, ...rest } = instance;
  const after = { ...rest, tags: tags.filter((tag) => tag !== role) };
  demoted.set(instance, after);
  return after;
}
