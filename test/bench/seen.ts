import { GiveUp } from "../servers/wait.ts";
import { wallClock } from "./wall-clock.ts";

/** What a watch tells, with the moment of it; one may wait for a value. */
export interface Seen<T> {
  /** Called by the watch; `at` is the Unix time in ms, when it was not now. */
  tell(value: T, at?: number): void;
  /** Unix time in ms at which the next fitting value is told; none that was told before counts. */
  next(fits: (value: T) => boolean): Promise<number>;
}

/** ms that one sample may take. */
const patience = 10_000;

/** Moments of what a watch tells. `what` is for the error when nothing comes. */
export function createSeen<T>(what: string): Seen<T> {
  const waiting = new Set<(value: T, at: number) => void>();
  return {
    tell(value, at = wallClock()) {
      for (const take of [...waiting]) take(value, at);
    },
    next: (fits) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(take);
          reject(new GiveUp(`waited ${patience} ms for ${what}`));
        }, patience);
        const take = (value: T, at: number) => {
          if (!fits(value)) return;
          clearTimeout(timer);
          waiting.delete(take);
          resolve(at);
        };
        waiting.add(take);
      }),
  };
}
