import { type Instance, type InstanceRef, refKey, sameInstance } from "../instance.ts";

/** The writes that make a backend equal to what is desired. */
export interface Plan {
  /** To be done first: an address must not be offered under two names, nor an id under two services. */
  readonly deregister: readonly InstanceRef[];
  readonly register: readonly Instance[];
}

/** The difference between what should be and what the owner holds. Equal records need no write. */
export function plan(desired: readonly Instance[], actual: ReadonlyMap<string, Instance>): Plan {
  const wanted = new Set(desired.map(refKey));
  return {
    deregister: [...actual.values()].filter((instance) => !wanted.has(refKey(instance))),
    register: desired.filter((instance) => {
      const held = actual.get(refKey(instance));
      return !held || !sameInstance(held, instance);
    }),
  };
}
