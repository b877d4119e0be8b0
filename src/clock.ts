import { setMaxListeners } from "node:events";

/**
 * The only file that reads a clock or sets a timer. Time is monotonic: a jump of the wall clock changes
 * nothing (invariant B2).
 */

/** The longest time that a timer of Node.js can take, in ms: it fires at once for anything longer. */
const longest = 2 ** 31 - 1;

/** Milliseconds on a monotonic clock with an arbitrary zero. */
export function monotonic(): number {
  return performance.now();
}

/** The time of the wall clock for people to read, as RFC 3339 in UTC. Nothing is decided by it. */
export function wallTime(): string {
  return new Date().toISOString();
}

/**
 * ms until a time of the wall clock that another host has named, below 0 once it is past. To be asked once for each
 * such time: what counts from then on is the monotonic clock.
 */
export function untilWallTime(time: string): number {
  return Date.parse(time) - Date.now();
}

/** The time of the wall clock in `ms`, for other hosts: RFC 3339 in UTC. */
export function wallTimeIn(ms: number): string {
  return new Date(Date.now() + ms).toISOString();
}

/** Resolves at a moment of `monotonic`, without a turn of the event loop when it is past; never rejects. */
export async function pauseUntil(moment: number, signal?: AbortSignal): Promise<void> {
  const rest = moment - monotonic();
  if (rest > 0) await pause(rest, signal);
}

/** Resolves when `signal` has aborted; never rejects. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Resolves after `ms` (at most 24 days), or at once when `signal` is aborted; never rejects. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    if (signal) setMaxListeners(0, signal);
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(Math.max(ms, 0), longest));
    signal?.addEventListener("abort", done, { once: true });
  });
}

/**
 * Calls `action` once after `ms` (at most 24 days); the returned function cancels it. Does not keep the
 * process alive.
 */
export function after(ms: number, action: () => void): () => void {
  const timer = setTimeout(action, Math.min(ms, longest));
  timer.unref();
  return () => clearTimeout(timer);
}

/** Calls `action` once what is at hand has been begun; the returned function cancels it. */
export function soon(action: () => void): () => void {
  const turn = setImmediate(action);
  return () => clearImmediate(turn);
}

/**
 * A signal that aborts after `ms`, or together with any of `signals`. Holds on to them for `ms` at most:
 * `AbortSignal.any` would leave a trace of every call on a signal that lives as long as the process.
 */
export function deadline(ms: number, ...signals: readonly AbortSignal[]): AbortSignal {
  const own = new AbortController();
  const settle = (reason: unknown) => {
    clearTimeout(timer);
    for (const signal of signals) signal.removeEventListener("abort", forward);
    own.abort(reason);
  };
  const forward = (event: Event) => settle((event.target as AbortSignal).reason);
  const timer = setTimeout(() => settle(new DOMException(`no answer within ${ms} ms`, "TimeoutError")), ms);
  timer.unref();
  const over = signals.find(({ aborted }) => aborted);
  if (over) {
    settle(over.reason);
    return own.signal;
  }
  for (const signal of signals) {
    // Many calls at once share one signal; that is no leak.
    setMaxListeners(0, signal);
    signal.addEventListener("abort", forward, { once: true });
  }
  return own.signal;
}

/**
 * Settles as `work` does, but rejects with `late()` once `signal` aborts: for clients that neither take an
 * abort signal nor time out by themselves. The work itself may go on; its outcome is then ignored.
 */
export function before<T>(signal: AbortSignal, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const expire = () => reject(late());
    if (signal.aborted) expire();
    setMaxListeners(0, signal);
    signal.addEventListener("abort", expire, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", expire));
  });
}

/** Full-jitter backoff in ms: a random wait between 0 and `base * 2^attempt`, at most `cap`. */
export function backoff(attempt: number, base = 100, cap = 10_000): number {
  return Math.random() * Math.min(cap, base * 2 ** Math.min(attempt, 30));
}
