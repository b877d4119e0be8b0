import { monotonic } from "../../clock.ts";

/**
 * ms for which an instance that has expired stays as it was. An agent that restarts takes every registrator for dead
 * whose last beat is older than the TTL, until the next: one that lives has beaten by then.
 */
const patience = 2_000;

/** Since when the instances of one service have been expired. */
export interface Expiry {
  /** Runs `read`, which asks about each expired instance whether it expired too lately to be believed gone. */
  reading<T>(read: (isEarly: (id: string) => boolean) => T): T;
  /** ms until the next of those is to be believed gone; undefined when there is none. */
  againIn(): number | undefined;
}

/** Nothing is expired at first. */
export function createExpiry(): Expiry {
  let since = new Map<string, number>();
  let due: number | undefined;
  return {
    reading(read) {
      const now = monotonic();
      const next = new Map<string, number>();
      due = undefined;
      const value = read((id) => {
        const first = since.get(id) ?? now;
        next.set(id, first);
        const end = first + patience;
        if (now >= end) return false;
        due = Math.min(due ?? end, end);
        return true;
      });
      since = next;
      return value;
    },
    // A millisecond more, because timers may be early by a fraction of one.
    againIn: () => (due === undefined ? undefined : Math.max(0, due - monotonic()) + 1),
  };
}
