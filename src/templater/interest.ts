import type { Interest, KeyWants } from "../backends/backend.ts";
import type { Reads } from "./view.ts";

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

/** True when both ask for the same. */
export function sameInterest({ services: a }: Interest, { services: b }: Interest): boolean {
  if (a === "all" || b === "all") return a === b;
  return a.size === b.size && [...a].every((name) => b.has(name));
}
