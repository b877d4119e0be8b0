// A clock whose time passes only when a test says so, with the exports of src/clock.ts: for `vi.mock`.
import { setMaxListeners } from "node:events";

let now = 0;
let sequence = 0;
let random = 1;
const timers: { readonly at: number; readonly order: number; readonly run: () => void }[] = [];

/** A number from 0 to below 1, the same ones after each `reset`. */
export function chance(): number {
  random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
  return random / 2 ** 32;
}

/** Forgets all timers, and starts the random numbers anew. */
export function reset(seed: number): void {
  timers.length = 0;
  now = 0;
  random = seed >>> 0;
}

/** Lets everything that waits for no timer happen. */
export function flush(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Lets `ms` pass, with all that happens in them. */
export async function advance(ms: number): Promise<void> {
  const end = now + ms;
  for (;;) {
    await flush();
    const next = timers[0];
    if (!next || next.at > end) break;
    timers.shift();
    now = Math.max(now, next.at);
    next.run();
  }
  now = end;
}

/** Lets time pass until the work is done. */
export async function finish(work: Promise<unknown>): Promise<void> {
  let done = false;
  work.finally(() => {
    done = true;
  });
  for (let round = 0; !done; round += 1) {
    if (round > 1000) throw new Error("waited a minute and a half for work that does not end");
    await advance(round < 100 ? 0 : 100);
  }
}

export const monotonic = (): number => now;

function set(ms: number, run: () => void): () => void {
  sequence += 1;
  const timer = { at: now + Math.max(0, ms), order: sequence, run };
  let [low, high] = [0, timers.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((timers[middle]?.at ?? 0) <= timer.at) low = middle + 1;
    else high = middle;
  }
  timers.splice(low, 0, timer);
  return () => {
    const at = timers.indexOf(timer);
    if (at >= 0) timers.splice(at, 1);
  };
}

export const after = (ms: number, action: () => void): (() => void) => set(ms, action);

export const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    if (signal) setMaxListeners(0, signal);
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = set(ms, done);
    signal?.addEventListener("abort", done, { once: true });
  });

export async function pauseUntil(moment: number, signal?: AbortSignal): Promise<void> {
  const rest = moment - monotonic();
  if (rest > 0) await pause(rest, signal);
}

export function deadline(ms: number, ...signals: readonly AbortSignal[]): AbortSignal {
  const own = new AbortController();
  const settle = (reason: unknown) => {
    cancel();
    for (const signal of signals) signal.removeEventListener("abort", forward);
    own.abort(reason);
  };
  const forward = (event: Event) => settle((event.target as AbortSignal).reason);
  const cancel = set(ms, () => settle(new DOMException("late", "TimeoutError")));
  const over = signals.find(({ aborted }) => aborted);
  if (over) settle(over.reason);
  for (const signal of over ? [] : signals) {
    // As in src/clock.ts: many calls at once share one signal.
    setMaxListeners(0, signal);
    signal.addEventListener("abort", forward, { once: true });
  }
  return own.signal;
}

export const backoff = (attempt: number, base = 100, cap = 10_000): number =>
  chance() * Math.min(cap, base * 2 ** Math.min(attempt, 30));
