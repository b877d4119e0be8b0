import { type Accepted, unsure } from "./accepted.ts";
import { sha256 } from "./hash.ts";
import { noFile, type Part } from "./part.ts";
import type { Change } from "./reload/index.ts";
import type { Target } from "./target.ts";

/**
 * One way of reloading that files of a group have. `Accepted` says what all ways of a destination have taken;
 * while they differ, because one proxy of several is away or has refused, this process knows of each what it
 * runs with. The next process does not, and reloads all of them: once too often does no harm.
 */
export interface Way {
  /** One of the targets that have it. */
  readonly target: Target;
  /** SHA-256 (hex) of what the proxy took last of a destination; undefined when that is not known. */
  runsWith(destination: string): string | undefined;
  /** Whether that is this part. */
  has(part: Pick<Part, "hash"> & { readonly target: Pick<Target, "destination"> }): boolean;
  /** The proxy has taken this. */
  took(destination: string, hash: string): void;
  /** Nobody knows any more what the proxy has of a destination. */
  unsure(destination: string): void;
}

/** By way, then by destination. */
const taken = new Map<string, Map<string, string>>();

/** The ways of reloading that some targets have, each once. */
export function waysOf(targets: readonly Target[], accepted: Accepted): readonly Way[] {
  const ways = new Map<string, Way>();
  for (const target of targets) {
    const key = JSON.stringify(target.reload);
    if (target.reload.kind === "none" || ways.has(key)) continue;
    const note = (destination: string, hash: string) => {
      taken.set(key, (taken.get(key) ?? new Map<string, string>()).set(destination, hash));
    };
    const known = (destination: string) => taken.get(key)?.get(destination) ?? accepted.get(destination);
    ways.set(key, {
      target,
      runsWith(destination) {
        const hash = known(destination);
        return hash === unsure ? undefined : hash;
      },
      // Of what is not there and not known, nothing has to be taken.
      has: ({ target: { destination }, hash }) => (known(destination) ?? noFile) === hash,
      took: note,
      unsure: (destination) => note(destination, unsure),
    });
  }
  return [...ways.values()];
}

/** All ways have taken what is accepted of a destination. */
export function agree(destination: string): void {
  for (const destinations of taken.values()) destinations.delete(destination);
}

/** Whether a way has all of the parts. */
export function hasAll(way: Way, parts: readonly Part[]): boolean {
  return parts.every(way.has);
}

/** What a proxy sees of the parts that change for it. What it runs with is known when that is live now. */
export function changesFor(way: Way, parts: readonly Part[]): readonly Change[] {
  return parts.flatMap(({ target, bytes, hash, live: { file }, isLive }): readonly Change[] => {
    const runs = way.runsWith(target.destination);
    if (isLive && way.has({ target, hash })) return [];
    const known = file !== undefined && runs === sha256(file.bytes);
    // One character for each byte: two files are equal texts only when they are equal.
    return [{ before: known ? file.bytes.toString("latin1") : undefined, after: bytes.toString("latin1") }];
  });
}
