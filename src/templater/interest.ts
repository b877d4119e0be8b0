import type { Interest } from "../backends/backend.ts";
import type { Reads } from "./view.ts";

/** What a backend is asked for when templates read this. */
export function interestOf(all: readonly Reads[]): Interest {
  if (all.some((reads) => reads.all)) return { services: "all" };
  return { services: new Set(all.flatMap((reads) => [...reads.services])) };
}

/** True when both ask for the same. */
export function sameInterest({ services: a }: Interest, { services: b }: Interest): boolean {
  if (a === "all" || b === "all") return a === b;
  return a.size === b.size && [...a].every((name) => b.has(name));
}
