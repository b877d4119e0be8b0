import { monotonic } from "../../clock.ts";

/** How far files are behind what is known: changes that wait to be rendered, and then to be applied. */
export interface Lag {
  /** Something has changed that the next render is to take in. */
  changed(): void;
  /** A render takes in what has changed. */
  rendering(): void;
  /** What was rendered is applied. */
  applied(): void;
  /** True when something has changed that no render has taken in. */
  hasNews(): boolean;
  /** Since when the oldest change that was rendered waits to be applied: ms on the monotonic clock. */
  since(): number | undefined;
  /** Why the files are not what they should be, when a change waits for longer than it should. */
  overdue(): string | undefined;
}

/** Nothing waits at first. `patience`: ms that a change may take. A check that hangs is no failure, but shows here. */
export function createLag(patience: number): Lag {
  /** When the first change came that is not rendered yet, and the first that is not applied yet. */
  let waiting: number | undefined;
  let behind: number | undefined;
  return {
    changed() {
      waiting ??= monotonic();
    },
    rendering() {
      behind ??= waiting;
      waiting = undefined;
    },
    applied() {
      behind = undefined;
    },
    hasNews: () => waiting !== undefined,
    since: () => behind,
    overdue() {
      const since = behind ?? waiting;
      if (since === undefined) return undefined;
      const late = monotonic() - since;
      if (late < patience) return undefined;
      return `a change of ${Math.round(late / 1000)} s ago is not applied yet`;
    },
  };
}
