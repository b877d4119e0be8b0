import type { Entry } from "./journal.ts";
import type { Pin } from "./pins.ts";

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
 * before that one. `live` says what the destinations hold now (SHA-256, hex). Undefined when the journal holds
 * no such change.
 */
export function stepBack(
  entries: readonly Entry[],
  targets: readonly string[],
  live: Readonly<Record<string, string>>,
  pin: Pin | undefined,
): StepBack | undefined {
  const change = entries.findLast(
    ({ number, cause, verdict, files }) =>
      (pin === undefined || number < pin.change) &&
      verdict !== "rejected" &&
      !cause.includes(rollbackCause) &&
      files.some(({ destination, before }) => before !== null && targets.includes(destination)),
  );
  if (change === undefined) return undefined;
  const files: Record<string, string> = { ...(pin?.files ?? live) };
  for (const { destination, before } of change.files) {
    if (!targets.includes(destination)) continue;
    // There was none: a rollback leaves a file where it is that came with the change.
    if (before !== null) files[destination] = before;
  }
  return { pin: { targets, files, change: change.number }, change };
}
