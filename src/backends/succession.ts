import type { Tenure } from "./backend.ts";

/** What the `renew` of one lock remembers of the process that held it before under the same name. */
export interface Succession {
  /** Whether a lock that stands under this name is taken over: only by the first call that is answered. */
  takesFrom(holder: string): boolean;
  /** The lock is about to be taken: from the holding with this token, or where undefined from nobody. */
  takes(from: string | undefined): void;
  /** The answer of who has the lock now. */
  holds(token: string, ttl: number): Tenure;
  /** The answer of who has to wait. */
  waits(holder: string): Tenure;
}

/** For one `Lock`; see its `renew`. */
export function createSuccession(contender: string): Succession {
  let isNew = true;
  /** As long as nobody was told: the answer to the call that took it over may be lost. */
  let follows: string | undefined;
  return {
    takesFrom: (holder) => isNew && holder === contender,
    takes(from) {
      follows = from;
    },
    holds(token, ttl) {
      const tenure = { held: true, token, ...(follows !== undefined && { follows }), ttl } as const;
      follows = undefined;
      isNew = false;
      return tenure;
    },
    waits(holder) {
      isNew = false;
      return { held: false, holder };
    },
  };
}
