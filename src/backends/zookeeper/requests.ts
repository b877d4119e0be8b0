import { after, monotonic } from "../../clock.ts";

/** Requests under way at once; the others wait for their turn. */
const atOnce = 128;

/** Called with what a request came to. */
export type Answer<T> = (error: unknown, value: T) => void;

/** The requests of one connection: bounded, in order, and never left waiting for a peer that fell silent. */
export interface Requests {
  /** Sends now or when there is room. Rejects with the answer's error, or with the one of `fail`. */
  ask<T>(send: (answer: Answer<T>) => void): Promise<T>;
  /** The peer has said something. */
  heard(): void;
  /**
   * From now on calls `silent` when the peer has owed an answer for `patience` ms without a word, and
   * `keepAlive`, which asks something, after as long a time without any traffic.
   */
  watch(patience: number, silent: () => void, keepAlive?: () => void): void;
  /** Rejects all requests, also later ones, and ends the watching. */
  fail(error: Error): void;
}

/** No requests yet. */
export function createRequests(): Requests {
  const unsettled = new Set<(error: unknown) => void>();
  const queue: (() => void)[] = [];
  let underWay = 0;
  let failed: Error | undefined;
  /** When the peer last said something, or began to owe an answer. */
  let since = monotonic();
  /** Looks once when the patience may be over; absent while there is nothing to look for. */
  let look: (() => void) | undefined;
  let cancelLook: (() => void) | undefined;

  const pump = () => {
    while (underWay < atOnce) {
      const send = queue.shift();
      if (!send) return;
      underWay += 1;
      if (underWay === 1) {
        since = monotonic();
        if (!cancelLook) look?.();
      }
      send();
    }
  };

  return {
    ask: (send) =>
      new Promise((resolve, reject) => {
        if (failed) return reject(failed);
        unsettled.add(reject);
        const settle: Parameters<typeof send>[0] = (error, value) => {
          if (!unsettled.delete(reject)) return;
          underWay -= 1;
          if (error) reject(error);
          else resolve(value);
          pump();
        };
        queue.push(() => {
          try {
            send(settle);
          } catch (error) {
            settle(error, undefined as never);
          }
        });
        pump();
      }),

    heard() {
      since = monotonic();
    },

    watch(patience, silent, keepAlive) {
      look = () => {
        cancelLook = undefined;
        const over = monotonic() - since >= patience;
        if (over && underWay > 0) return silent();
        if (over) keepAlive?.();
        // What keepAlive asked has looked already.
        if (!cancelLook && (underWay > 0 || keepAlive)) {
          cancelLook = after(Math.max(1, patience - (monotonic() - since)), () => look?.());
        }
      };
      since = monotonic();
      look();
    },

    fail(error) {
      failed ??= error;
      look = undefined;
      cancelLook?.();
      queue.length = 0;
      for (const reject of unsettled) reject(error);
      unsettled.clear();
    },
  };
}
