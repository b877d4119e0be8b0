import type { Lock } from "../backends/backend.ts";
import { deadline, monotonic, pause } from "../clock.ts";

/** ms that a beat or the release may take. */
const patience = 3_000;

/**
 * Does `work` while a lock is held, whose first `renew` has told its token and its time to live, and gives the lock
 * up afterwards. The signal that `work` gets aborts with `stop`, and as soon as somebody else may have the lock.
 */
export async function underLock<T>(
  lock: Lock,
  held: { readonly token: string; readonly ttl: number },
  work: (signal: AbortSignal) => Promise<T>,
  stop: AbortSignal,
): Promise<T> {
  const lost = new AbortController();
  const over = new AbortController();
  const end = () => lost.abort();
  stop.addEventListener("abort", end, { once: true });
  if (stop.aborted) end();
  const beating = beat(lock, held, over.signal).then((isLost) => {
    if (isLost) end();
  });
  try {
    return await work(lost.signal);
  } finally {
    over.abort();
    stop.removeEventListener("abort", end);
    await beating;
    await lock.release(deadline(patience)).catch(() => {});
  }
}

/** Renews until `over`; true once the lock is not sure to be ours any more. */
async function beat(
  lock: Lock,
  { token, ttl }: { readonly token: string; readonly ttl: number },
  over: AbortSignal,
): Promise<boolean> {
  const step = (ttl * 1000) / 3;
  let until = monotonic() + ttl * 1000;
  for (;;) {
    await pause(step, over);
    if (over.aborted) return false;
    const began = monotonic();
    const tenure = await lock.renew(deadline(patience, over)).catch(() => undefined);
    if (over.aborted) return false;
    if (tenure?.held && tenure.token === token) until = began + tenure.ttl * 1000;
    else if (tenure !== undefined || monotonic() + step >= until) return true;
  }
}
