/**
 * Tells a store that whoever contends has won under this token. Rejects with the reason where that failed, in words
 * for people. Once `signal` aborts it ends what it has begun, and settles when nothing of that is left.
 */
export type Promote = (token: string, signal: AbortSignal) => Promise<void>;

/** What is done for one token before its holder is master. */
export interface Promotion {
  readonly token: string;
  /** Undefined as long as it goes on. */
  outcome(): "done" | { readonly problem: string } | undefined;
  /** Cancels it where it goes on, and resolves when it has ended. */
  end(): Promise<void>;
}

/** A promotion that needs nothing. */
export function promoted(token: string): Promotion {
  return { token, outcome: () => "done", end: async () => {} };
}

/** Begins a promotion; `ended` is told when it has its outcome. */
export function beginPromotion(token: string, promote: Promote, ended: () => void): Promotion {
  const cancelled = new AbortController();
  let outcome: ReturnType<Promotion["outcome"]>;
  const work = promote(token, cancelled.signal)
    .then(
      () => {
        outcome = "done";
      },
      (error: unknown) => {
        outcome = { problem: error instanceof Error ? error.message : String(error) };
      },
    )
    .then(ended);
  return {
    token,
    outcome: () => outcome,
    async end() {
      cancelled.abort();
      await work;
    },
  };
}
