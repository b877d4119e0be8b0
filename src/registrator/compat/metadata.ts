import { compare } from "../../instance.ts";
import type { Container } from "../docker/container.ts";
import type { Given } from "../rules/labels.ts";
import { shown } from "../rules/shown.ts";

/** What a container says about one of its ports, by registrator's rules. */
export interface Metadata {
  /** The value of a key (lower case). An empty one counts as not given. */
  get(key: string): Given | undefined;
  /** True when the key was given for this very port, also when it is empty. */
  isOfPort(key: string): boolean;
  /** Every key, also those with an empty value, in order. */
  entries(): readonly (readonly [key: string, given: Given])[];
}

/**
 * Reads variables, then labels, each overriding what came before under the same key; but what was given for the
 * port stands against what was given for the whole container, even when it is empty. `<prefix><N>_KEY` is for
 * port N, compared as text, so `SERVICE_080_NAME` is for no port; `<prefix>80` alone is a key like any other.
 * Labels that differ in nothing but case are taken in order, where registrator's order is random.
 */
export function readMetadata(container: Container, port: number, prefix: string): Metadata {
  const ofPort = new Map<string, Given>();
  const general = new Map<string, Given>();
  const sources = [
    ["variable", Object.entries(container.env)],
    ["label", Object.entries(container.labels).sort(([a], [b]) => compare(a, b))],
  ] as const;
  for (const [kind, entries] of sources) {
    for (const [name, value] of entries) {
      if (!name.startsWith(prefix)) continue;
      const key = name.slice(prefix.length).toLowerCase();
      const given = { value, from: `${kind} ${shown(name)}` };
      const [, number = "", rest] = /^([^_]*)_(.*)$/s.exec(key) ?? [];
      if (rest === undefined || !isInteger(number)) general.set(key, given);
      else if (number === String(port)) ofPort.set(rest, given);
    }
  }
  const all = new Map([...general, ...ofPort]);
  return {
    get: (key) => (all.get(key)?.value ? all.get(key) : undefined),
    isOfPort: (key) => ofPort.has(key),
    entries: () => [...all].sort(([a], [b]) => compare(a, b)),
  };
}

/** What Go reads as an int: a sign and digits, within 64 bits. */
function isInteger(text: string): boolean {
  return (
    /^[+-]?\d+$/.test(text) &&
    BigInt.asIntN(64, BigInt(text.replace("+", ""))) === BigInt(text.replace("+", ""))
  );
}
