import type { Lock } from "./backends/backend.ts";
import { deadline, monotonic, pause } from "./clock.ts";

/** ms that a beat may take. */
const patience = 3_000;
/** ms that a release may take: the lock runs out by itself. */
const farewell = 2_000;

/** A lock that is renewed until it is given up. */
export interface HeldLock {
  /** Aborts as soon as somebody else may have it. */
  readonly lost: AbortSignal;
  /** Gives it up. Never rejects. */
  release(): Promise<void>;
}

/** Keeps a lock whose `renew` has told its token and its time to live in seconds. */
export function keepLock(lock: Lock, held: { readonly token: string; readonly ttl: number }): HeldLock {
  const lost = new AbortController();
  const over = new AbortController();
  const beating = beat(lock, held, over.signal).then((isLost) => {
    if (isLost) lost.abort();
  });
  return {
    lost: lost.signal,
    async release() {
      over.abort();
      await beating;
      await giveUp(lock);
    },
  };
}

/** Releases a lock that may be held. Never rejects. */
export async function giveUp(lock: Lock): Promise<void> {
  await lock.release(deadline(farewell)).catch(() => {});
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
