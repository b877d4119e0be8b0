import { setTimeout as sleep } from "node:timers/promises";

/** `within`: when to give up, in ms; `every`: pause between two looks, in ms (default 20). */
export interface WaitOptions {
  readonly within: number;
  readonly every?: number;
}

type Falsy = false | 0 | "" | null | undefined;

/**
 * Looks until `condition` gives something truthy, and returns that. A condition that throws is looked at again.
 * A look still running when `within` is over is not waited for.
 * @throws an error that names `what` and the last value or error seen
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | Falsy | Promise<T | Falsy>,
  { within, every = 20 }: WaitOptions,
): Promise<Exclude<T, Falsy>> {
  const end = performance.now() + within;
  const over = Symbol("over");
  let seen = "nothing: the first look did not come to an end";
  let cause: unknown;
  for (;;) {
    const timer = new AbortController();
    try {
      const left = Math.max(0, end - performance.now());
      const value = await Promise.race([condition(), sleep(left, over, { signal: timer.signal })]);
      if (value !== over) {
        if (value) return value as Exclude<T, Falsy>;
        seen = String(value);
        cause = undefined;
      }
    } catch (error) {
      if (error instanceof GiveUp) throw error;
      seen = error instanceof Error ? error.message : String(error);
      cause = error;
    } finally {
      timer.abort();
    }
    if (performance.now() + every >= end) {
      throw new Error(`waited ${within} ms for ${what}; last seen: ${seen}`, { cause });
    }
    await sleep(every);
  }
}

/** Thrown by a condition that knows that waiting is in vain: `waitFor` passes it on at once. */
export class GiveUp extends Error {
  override readonly name = "GiveUp";
}
