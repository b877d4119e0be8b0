import { before, monotonic, pauseUntil } from "../../clock.ts";

/** ms between two tries to reach an agent that is away: no more than three a second, whoever wants something of it. */
const apart = 350;

/**
 * Runs a call to the agent, unless that is away: then one call at a time tries whether it is back, and all others wait
 * for what becomes of it, go on or reject as it did. `isHeld`: Consul may not answer it for long, so it tries nothing.
 */
export type Outage = <T>(work: () => Promise<T>, isHeld: boolean, over: AbortSignal) => Promise<T>;

/** An agent that is not known to be away. */
export function createOutage(): Outage {
  /** How the last try failed; undefined once something was answered. */
  let failure: { readonly cause: unknown; readonly at: number } | undefined;
  let trying: Promise<unknown> | undefined;

  const attempt = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      const answer = await work();
      failure = undefined;
      return answer;
    } catch (cause) {
      if (isGone(cause)) failure = { cause, at: monotonic() };
      else if (isAnswer(cause)) failure = undefined;
      throw cause;
    }
  };

  return async (work, isHeld, over) => {
    for (let known = failure; known !== undefined; known = failure) {
      if (isHeld) throw known.cause;
      if (trying === undefined) {
        const own = pauseUntil(known.at + apart, over).then(() => attempt(work));
        trying = own
          .catch(() => {})
          .finally(() => {
            trying = undefined;
          });
        return own;
      }
      await before(over, trying, () => new Error("cancelled"));
      // It failed too, and was not merely cancelled.
      if (failure !== undefined && failure !== known) throw failure.cause;
    }
    return attempt(work);
  };
}

/** Whether there was no connection, or it broke: the system names that by a code. */
function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && /^E(?!RR_)[A-Z_]+$/.test(String(error.code));
}

/** Whether it is an answer that refuses. */
function isAnswer(error: unknown): boolean {
  return error instanceof Error && "isResponse" in error;
}
