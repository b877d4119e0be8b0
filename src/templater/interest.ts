import type { Interest, KeySnapshot, KeyWants } from "../backends/backend.ts";
import type { Reads, World } from "./view.ts";

/** What a backend is asked for when templates read this. */
export function interestOf(all: readonly Reads[]): Interest {
  if (all.some((reads) => reads.all)) return { services: "all" };
  return { services: new Set(all.flatMap((reads) => [...reads.services])) };
}

/** The keys and paths that templates read. */
export function keysOf(all: readonly Reads[]): KeyWants {
  return {
    keys: new Set(all.flatMap((reads) => [...(reads.keys ?? [])])),
    trees: new Set(all.flatMap((reads) => [...(reads.trees ?? [])])),
  };
}

/** What was answered of the keys and paths that templates read; undefined when they read none. */
export function answered(
  keys: World["keys"],
  { keys: names, trees: paths }: KeyWants,
): KeySnapshot | undefined {
  if (keys === undefined || keys === "none" || names.size + paths.size === 0) return undefined;
  return {
    keys: new Map([...keys.keys].filter(([key]) => names.has(key))),
    trees: new Map([...keys.trees].filter(([path]) => paths.has(path))),
  };
}

/** True when both ask for the same. */
export function sameInterest({ services: a }: Interest, { services: b }: Interest): boolean {
  if (a === "all" || b === "all") return a === b;
  return sameSet(a, b);
}

/** True when both ask for the same. */
export function sameKeyWants(a: KeyWants, b: KeyWants): boolean {
  return sameSet(a.keys, b.keys) && sameSet(a.trees, b.trees);
}

/** True when both hold the same. */
export function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.size !== b.size) return false;
  for (const one of a) if (!b.has(one)) return false;
  return true;
}
