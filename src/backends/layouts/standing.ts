import { compare, type Instance, refKey } from "../../instance.ts";
import type { ListedLayout } from "./layout.ts";

/** A key as it should be, and the instance that it shows. */
export interface Standing {
  readonly text: string;
  readonly instance: Instance;
}

/**
 * The keys of an owner's records. Where several have one key, which a format that tells less than the record
 * may do, one of them stands there: one of TCP before the others, then the lowest id.
 */
export function standing(layout: ListedLayout, records: Iterable<Instance>): ReadonlyMap<string, Standing> {
  const keys = new Map<string, Standing>();
  for (const instance of records) {
    const text = layout.textOf(instance);
    if (text === undefined) continue;
    const key = layout.keyOf(instance);
    const rival = keys.get(key)?.instance;
    if (!rival || goesBefore(instance, rival)) keys.set(key, { text, instance });
  }
  return keys;
}

/** Which of two records that share a key is shown. */
function goesBefore(a: Instance, b: Instance): boolean {
  const rank = ({ protocol }: Instance) => (protocol === "tcp" ? 0 : 1);
  return (rank(a) - rank(b) || compare(refKey(a), refKey(b))) < 0;
}
