/** Work that is done key by key. */
export interface Keyed {
  run(key: string): Promise<void>;
  /** True while a run for the key is in hand or waits for its turn. */
  busy(key: string): boolean;
}

/**
 * Runs `work` for keys: at most `limit` at once, and never twice at once for one key. The promise of a call
 * settles with a run that began after the call; calls that wait for the same run share it.
 */
export function createKeyed(limit: number, work: (key: string) => Promise<void>): Keyed {
  /** The last run of each key that has begun, and the one after it that has not. */
  const running = new Map<string, Promise<void>>();
  const coming = new Map<string, Promise<void>>();
  const queue: (() => void)[] = [];
  let free = limit;

  const run = async (key: string) => {
    await running.get(key)?.catch(() => {});
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => queue.push(resolve));
    coming.delete(key);
    try {
      const now = work(key);
      running.set(key, now);
      await now;
    } finally {
      running.delete(key);
      const next = queue.shift();
      if (next) next();
      else free += 1;
    }
  };

  return {
    run(key) {
      const next = coming.get(key) ?? run(key);
      coming.set(key, next);
      return next;
    },
    busy: (key) => running.has(key) || coming.has(key),
  };
}
