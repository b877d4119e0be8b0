import { isFileOf } from "./each.ts";
import type { Entry, FileChange } from "./journal.ts";
import type { Pin } from "./pins.ts";
import type { Target } from "./target.ts";

/** What a rollback goes back to. */
export interface StepBack {
  readonly pin: Pin;
  /** The change that it undoes. */
  readonly change: Entry;
}

/** What stands in the causes of what a rollback did. */
export const rollbackCause = "rollback";

/**
 * The state of some targets before their last change; while a rollback is in force, before the change that came
 * before that one. `live` says what their files hold now (SHA-256, hex, by destination). A file that came with
 * the change stays, unless it is one of a `forEach` target. Undefined when the journal holds no such change.
 */
export function stepBack(
  entries: readonly Entry[],
  targets: readonly Pick<Target, "destination" | "forEach">[],
  live: Readonly<Record<string, string>>,
  pin: Pin | undefined,
): StepBack | undefined {
  const isOneOfSeveral = (path: string) =>
    targets.some((target) => target.forEach !== undefined && isFileOf(target, path));
  const goesBack = ({ destination, before }: FileChange) =>
    isOneOfSeveral(destination) ||
    (before !== null && targets.some((target) => target.destination === destination));
  const change = entries.findLast(
    ({ number, cause, verdict, files }) =>
      (pin === undefined || number < pin.change) &&
      verdict !== "rejected" &&
      !cause.includes(rollbackCause) &&
      files.some(goesBack),
  );
  if (change === undefined) return undefined;
  const files: Record<string, string | null> = { ...(pin?.files ?? live) };
  for (const file of change.files) if (goesBack(file)) files[file.destination] = file.before;
  const destinations = targets.map(({ destination }) => destination);
  return { pin: { targets: destinations, files, change: change.number }, change };
}
