import type { Lock } from "../backends/backend.ts";
import { keepLock } from "../held-lock.ts";

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
  const kept = keepLock(lock, held);
  const over = new AbortController();
  const end = () => over.abort();
  stop.addEventListener("abort", end, { once: true });
  kept.lost.addEventListener("abort", end, { once: true });
  if (stop.aborted) end();
  try {
    return await work(over.signal);
  } finally {
    stop.removeEventListener("abort", end);
    await kept.release();
  }
}
