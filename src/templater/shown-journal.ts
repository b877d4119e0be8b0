import { statSync } from "node:fs";
import type { ShownEntry, ShownFile } from "../daemon-status.ts";
import type { FileChange, RecentEntry } from "./journal.ts";
import type { Target } from "./target.ts";
import type { Reads } from "./view.ts";

/** Characters of diffs that are shown of all entries together. */
const mostDiff = 200_000;

/**
 * Why the diffs of a target are not for everybody who reaches the status page: the file is not for everybody
 * either, or holds what is not of the registry. Undefined when they are.
 */
export function withheldOf({ destination, mode }: Target, reads: Reads): string | undefined {
  const isForAll = ((mode ?? liveMode(destination)) & 0o004) !== 0;
  if (!isForAll) return "not everybody may read the file";
  const { keys, trees, files, containers } = reads;
  return keys || trees || files || containers
    ? "its template reads keys, files or containers, which may be secret"
    : undefined;
}

/** A file that does not exist yet gets 0644. */
function liveMode(destination: string): number {
  return statSync(destination, { throwIfNoEntry: false })?.mode ?? 0o644;
}

/**
 * Entries of the journal as the status page shows them, the newest first. `withheld` says for each target by its
 * destination why its diffs are not shown; one that it does not hold is no target any more.
 */
export function shownJournal(
  entries: readonly RecentEntry[],
  withheld: ReadonlyMap<string, string | undefined>,
): readonly ShownEntry[] {
  let left = mostDiff;
  return entries.toReversed().map(({ files, refused = [], targets, ...entry }) => {
    const why = targets
      .map((target) => (withheld.has(target) ? withheld.get(target) : "it is no target any more"))
      .find((reason) => reason !== undefined);
    const shown = ({ destination, diff }: FileChange): ShownFile => {
      if (why !== undefined) return { destination, withheld: why };
      if (diff === undefined) return { destination, withheld: "the files are too different" };
      left -= diff.length;
      if (left < 0) return { destination, withheld: "it was long ago" };
      return { destination, diff };
    };
    return { ...entry, targets, files: [...files, ...refused].map(shown) };
  });
}
