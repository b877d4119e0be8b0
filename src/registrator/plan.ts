import { type Instance, type InstanceRef, refKey, sameInstance } from "../instance.ts";

/** The writes that make a backend equal to what is desired. */
export interface Plan {
  /** To be done first: an address must not be offered under two names, nor an id under two services. */
  readonly deregister: readonly InstanceRef[];
  /** Changes of held records first: there may be a drain among them, and a start can wait. */
  readonly register: readonly Instance[];
}

/**
 * The difference between what should be and what the owner holds. Equal records need no write, and those of
 * `unread` containers get none: they run, and nobody knows what they should be.
 */
export function plan(
  desired: readonly Instance[],
  actual: ReadonlyMap<string, Instance>,
  unread: ReadonlyMap<string, unknown>,
): Plan {
  const wanted = new Set(desired.map(refKey));
  const isHeld = (instance: Instance) => actual.has(refKey(instance));
  const due = desired.filter((instance) => {
    const held = actual.get(refKey(instance));
    return !held || !sameInstance(held, instance);
  });
  return {
    deregister: [...actual.values()].filter(
      (instance) => !wanted.has(refKey(instance)) && !unread.has(instance.container?.id ?? ""),
    ),
    register: [...due.filter(isHeld), ...due.filter((instance) => !isHeld(instance))],
  };
}
