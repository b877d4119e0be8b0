import { type Instance, type InstanceRef, refKey, sameInstance } from "../instance.ts";

/**
 * What is known of the container of a record that is not wanted, if it names one: `live`: it runs, and this is no record of it any
 * more; `kept`: it ended, and its records stay; `gone`: it ended; `unread`: nobody knows what its records
 * should be; `unknown`: nobody has asked yet.
 */
export type Fate = "live" | "kept" | "gone" | "unread" | "unknown";

/** The writes that make a backend equal to what is desired. */
export interface Plan {
  /** To be done first: an address must not be offered under two names, nor an id under two services. */
  readonly deregister: readonly Instance[];
  /** Changes of held records first: there may be a drain among them, and a start can wait. */
  readonly register: readonly Instance[];
  /** Containers to be asked about: their records wait. */
  readonly unknown: ReadonlySet<string>;
}

/**
 * The difference between what should be and what the owner holds. Equal records need no write. The backend's own
 * record is what is left of a container that ended: it stays, unhealthy, where the container is `kept`.
 */
export function plan(
  desired: readonly Instance[],
  actual: ReadonlyMap<string, Instance>,
  fate: (container: string | undefined) => Fate,
): Plan {
  const wanted = new Set(desired.map(refKey));
  const ids = new Set(desired.map(({ id }) => id));
  const deregister: Instance[] = [];
  const kept: Instance[] = [];
  const unknown = new Set<string>();
  for (const instance of actual.values()) {
    if (wanted.has(refKey(instance))) continue;
    const { container } = instance;
    const of = fate(container?.id);
    if (container && of === "unknown") unknown.add(container.id);
    // An id that a live container claims now is its own, whatever is kept of the one before.
    if (of === "live" || of === "gone" || (of === "kept" && ids.has(instance.id))) deregister.push(instance);
    else if (of === "kept" && instance.state !== "unhealthy") kept.push({ ...instance, state: "unhealthy" });
  }
  const isHeld = (instance: InstanceRef) => actual.has(refKey(instance));
  const due = desired.filter((instance) => {
    const held = actual.get(refKey(instance));
    return !held || !sameInstance(held, instance);
  });
  return {
    deregister,
    register: [...kept, ...due.filter(isHeld), ...due.filter((instance) => !isHeld(instance))],
    unknown,
  };
}
