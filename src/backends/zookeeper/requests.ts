import { after, monotonic } from "../../clock.ts";

/** Requests under way at once; the others wait for their turn. */
const atOnce = 128;

/** Called with what a request came to. */
export type Answer<T> = (error: unknown, value: T) => void;

/** How long the peer may keep us waiting, in ms. */
export interface Patience {
  /** Without a byte from it, while it owes an answer. */
  readonly silence: number;
  /** For a whole answer, counted from the one before: a peer that drips bytes is as bad as a silent one. */
  readonly answer: number;
}

/** The requests of one connection: bounded, in order, and never left waiting for a peer that does not answer. */
export interface Requests {
  /** Sends now or when there is room. Rejects with the answer's error, or with the one of `fail`. */
  ask<T>(send: (answer: Answer<T>) => void): Promise<T>;
  /** The peer has said something. */
  heard(): void;
  /**
   * From now on calls `exhausted` with the reason when the patience is over, and `keepAlive`, which asks something,
   * when nothing was answered for as long as silence is borne.
   */
  watch(patience: Patience, exhausted: (why: string) => void, keepAlive?: () => void): void;
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
  let heardAt = monotonic();
  /** When the oldest request under way became the oldest: answers come in order. */
  let answeredAt = heardAt;
  /** Looks once when the patience may be over; absent while there is nothing to look for. */
  let look: (() => void) | undefined;
  let cancelLook: (() => void) | undefined;

  const pump = () => {
    while (underWay < atOnce) {
      const send = queue.shift();
      if (!send) return;
      underWay += 1;
      if (underWay === 1) {
        heardAt = monotonic();
        answeredAt = heardAt;
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
          answeredAt = monotonic();
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
      heardAt = monotonic();
    },

    watch({ silence, answer }, exhausted, keepAlive) {
      look = () => {
        cancelLook = undefined;
        const now = monotonic();
        const [quiet, waited] = [now - heardAt, now - answeredAt];
        if (underWay > 0 && quiet >= silence) return exhausted(`silent for ${Math.round(silence)} ms`);
        if (underWay > 0 && waited >= answer) return exhausted(`no whole answer within ${answer / 1000} s`);
        if (underWay === 0 && waited >= silence) keepAlive?.();
        // What keepAlive asked has looked already.
        if (cancelLook || (underWay === 0 && !keepAlive)) return;
        const left = underWay > 0 ? Math.min(silence - quiet, answer - waited) : silence - waited;
        cancelLook = after(Math.max(1, left), () => look?.());
      };
      heardAt = monotonic();
      answeredAt = heardAt;
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
