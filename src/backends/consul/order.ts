import { createHash } from "node:crypto";
import { compare, isSecretCheck } from "../../instance.ts";

/** The checks of an instance as they were ordered. */
export type Ordered = Readonly<Record<string, string>>;

const mark = "portolan: checks ";

/**
 * An order as the notes of a check keep it, so that its owner can tell an unchanged record after a restart.
 * Everybody who may read the service reads the notes: what may be a secret stands there as its digest only.
 */
export function orderNotes(order: Ordered): string {
  const entries = Object.entries(order).sort(([a], [b]) => compare(a, b));
  return `${mark}${JSON.stringify(Object.fromEntries(entries.map(([key, value]) => [key, hidden(key, value)])))}`;
}

/** The order in the notes, with digests in it; undefined when there is none. */
export function orderInNotes(notes: string): Ordered | undefined {
  if (!notes.startsWith(mark)) return undefined;
  try {
    const value: unknown = JSON.parse(notes.slice(mark.length));
    if (typeof value !== "object" || value === null) return undefined;
    return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]));
  } catch {
    return undefined;
  }
}

function hidden(key: string, value: string): string {
  return isSecretCheck(key, value) ? `sha256:${createHash("sha256").update(value).digest("hex")}` : value;
}
