import type { Tenure } from "./backend.ts";

/** What the `renew` of one lock remembers of the process that held it before under the same name. */
export interface Succession {
  /** Whether a lock that stands under this name is taken over: only by the first call that is answered. */
  takesFrom(holder: string): boolean;
  /** The lock is about to be taken: from the holding with this token, or where undefined from nobody. */
  takes(from: string | undefined): void;
  /** What is told of how the lock stands; to be called when nothing keeps the caller from hearing it any more. */
  answer(tenure: Tenure): Tenure;
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
    answer(tenure) {
      isNew = false;
      if (!tenure.held || follows === undefined) return tenure;
      const answer = { ...tenure, follows };
      follows = undefined;
      return answer;
    },
  };
}
