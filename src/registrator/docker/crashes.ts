/** ms within which `many` failures make a crash loop. */
const span = 60_000;
const many = 3;
/** ms that a container has to run after that; each further failure doubles it. */
const firstHold = 10_000;
const longestHold = 30_000;
/** ms of running after which earlier failures count no more. */
const forgiven = 60_000;

/** How a container's process ended. */
export interface End {
  /** When, in any unit: two reports with the same time are one end. */
  readonly time: number;
  /** The same on the monotonic clock, in ms. */
  readonly at: number;
  /** Its exit code, where it ended by itself and not with 0. */
  readonly failure: number | undefined;
  /** ms that it had run, as far as known. */
  readonly ran: number;
}

/** Which containers fail again and again, by id. */
export interface Crashes {
  ended(id: string, end: End): void;
  /** It is over that the container ran, for this many ms, and nobody told of its end. */
  ran(id: string, ms: number): void;
  /** ms that the container has to run before it counts as running: 0 outside a crash loop. */
  hold(id: string): number;
  /** The exit code of its last failure, unless it is forgiven. */
  lastFailure(id: string): number | undefined;
  /** The container is gone for good. */
  forget(id: string): void;
}

/** Why a container in a crash loop is not registered. The same words however long the loop lasts. */
export const crashReason =
  `ended ${many} times within ${span / 1000} s; registered when it has run for ${firstHold / 1000} s, ` +
  `and after further failures for up to ${longestHold / 1000} s`;

/**
 * A crash loop begins with the third failure within a minute and is over when the container has run for a
 * minute, or when somebody ended it: whoever stops or restarts a container has taken care of it.
 */
export function createCrashes(): Crashes {
  const loops = new Map<
    string,
    { failures: { time: number; at: number }[]; hold: number; exitCode: number }
  >();
  return {
    ended(id, { time, at, failure, ran }) {
      const before = loops.get(id);
      if (before?.failures.some((earlier) => earlier.time === time)) return;
      if (failure === undefined) return void loops.delete(id);
      const loop = before && ran < forgiven ? before : { failures: [], hold: 0, exitCode: failure };
      loop.exitCode = failure;
      loop.failures = [...loop.failures, { time, at }].filter((earlier) => at - earlier.at < span);
      if (loop.hold > 0) loop.hold = Math.min(loop.hold * 2, longestHold);
      else if (loop.failures.length >= many) loop.hold = firstHold;
      loops.set(id, loop);
    },
    ran(id, ms) {
      if (ms >= forgiven) loops.delete(id);
    },
    hold: (id) => loops.get(id)?.hold ?? 0,
    lastFailure: (id) => loops.get(id)?.exitCode,
    forget: (id) => void loops.delete(id),
  };
}
