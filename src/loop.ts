import { after, backoff, monotonic, pause, pauseUntil } from "./clock.ts";

/** One pass of a control loop, as the pass sees it. */
export interface Turn {
  /** Aborts when the loop is stopped. */
  readonly signal: AbortSignal;
  /**
   * Waits until `wait.min` has passed since the change that caused this pass. False when newer changes have
   * come and `wait.max` still allows to take them in: the pass should then end with "superseded", having
   * changed nothing. Work that can be thrown away is done before, so that it overlaps with the wait.
   */
  settled(): Promise<boolean>;
}

/** How a control loop behaves. */
export interface LoopOptions {
  /**
   * Reads the truth, decides, applies the difference. Rejecting means that the truth could not be reached:
   * it is called again after a backoff.
   */
  pass(turn: Turn): Promise<undefined | "superseded">;
  /** ms. The first change after quiet is applied after `min`; a storm is bounded by `max`. */
  readonly wait?: { readonly min: number; readonly max: number };
  /** ms, the longest wait after a failure (10 s): less where a deadline of the world runs meanwhile. */
  readonly retryCap?: number;
  /** Called for every failed pass with the ms until the next try. */
  failed?(error: unknown, retryIn: number): void;
  /** Called after each pass that did what it had to do. */
  done?(): void;
}

/** A running control loop. */
export interface Loop {
  /** Says that something may have changed. A burst becomes one pass, a nudge during a pass one more. */
  nudge(): void;
  /** Ends the loop; resolves when the pass in hand has ended. */
  stop(): Promise<void>;
}

/** After a failure a nudge tries again at once, but no more than about three times a second. */
const retryFloor = 350;

/**
 * The one loop of both daemons: a latch, passes one at a time, and full-jitter backoff after a failure.
 * Nothing runs before the first nudge.
 */
export function controlLoop(options: LoopOptions): Loop {
  const { wait: { min, max } = { min: 0, max: 0 }, retryCap = 10_000 } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  let dirty = false;
  let wake = () => {};
  let lastNudge = 0;

  const nudge = () => {
    dirty = true;
    lastNudge = monotonic();
    wake();
  };
  /** Resolves at the next nudge, after `ms`, or when the loop is stopped. */
  const nudged = (ms?: number) =>
    new Promise<void>((resolve) => {
      if (signal.aborted) return resolve();
      const cancel = ms === undefined ? () => {} : after(ms, () => wake());
      wake = () => {
        wake = () => {};
        cancel();
        resolve();
      };
    });

  const run = async () => {
    let attempt = 0;
    while (!signal.aborted) {
      if (!dirty) await nudged();
      const first = monotonic();
      let superseded = false;
      do {
        // A pass that was overtaken waits for a quiet window; the first pass starts at once.
        while (superseded && !signal.aborted) {
          const rest = Math.min(lastNudge + min, first + max) - monotonic();
          if (rest <= 0) break;
          await pause(rest, signal);
        }
        if (signal.aborted) return;
        dirty = false;
        superseded = false;
        try {
          const settled = async () => {
            await pauseUntil(first + min, signal);
            return !signal.aborted && !(dirty && monotonic() < first + max);
          };
          superseded = (await options.pass({ signal, settled })) === "superseded";
          if (superseded) continue;
          attempt = 0;
          options.done?.();
        } catch (error) {
          if (signal.aborted) return;
          // A nudge during the pass asks to try again soon, like one after it.
          const jitter = dirty ? 0 : backoff(attempt, 100, Math.max(0, retryCap - retryFloor));
          const wait = retryFloor + jitter;
          attempt += 1;
          options.failed?.(error, wait);
          const failedAt = monotonic();
          await nudged(wait);
          await pauseUntil(failedAt + retryFloor, signal);
          dirty = true;
        }
      } while (superseded);
    }
  };
  const ended = run();

  return {
    nudge,
    async stop() {
      stopping.abort();
      wake();
      await ended;
    },
  };
}
