import { setMaxListeners } from "node:events";
import { after, before } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import { overdue } from "./way-out.ts";

/** Milliseconds that a call to a store may take. */
export const callLimit = 5_000;

/**
 * Bytes of one answer at most: far beyond what a registry holds, and little enough to hold in memory when what answers is
 * no such store.
 */
export const answerLimit = 64 * 1024 * 1024;

/**
 * One call to a store: `work` has 5 s, and less when `signal` aborts. The signal it is given aborts in both
 * cases. One that is made of many calls has 5 s anew whenever it says that one of them has ended. Rejects with ABORTED when it was cancelled, else with `translate` of whatever went wrong.
 */
export async function limited<T>(
  signal: AbortSignal,
  work: (over: AbortSignal, goesOn: () => void) => Promise<T>,
  translate: (error: unknown) => PortolanError,
): Promise<T> {
  const cancelled = () => new PortolanError("ABORTED", "cancelled", { cause: signal.reason });
  if (signal.aborted) throw cancelled();
  const over = new AbortController();
  const end = () => over.abort();
  let isSettled = false;
  let cancelLimit = after(callLimit, end);
  const goesOn = () => {
    if (isSettled || over.signal.aborted) return;
    cancelLimit();
    cancelLimit = after(callLimit, end);
  };
  // Many calls at once share one signal; that is no leak.
  setMaxListeners(0, signal);
  signal.addEventListener("abort", end, { once: true });
  try {
    const late = () => new Error(`no answer within ${callLimit / 1000} s${overdue}`);
    return await before(over.signal, work(over.signal, goesOn), late);
  } catch (error) {
    throw signal.aborted ? cancelled() : translate(error);
  } finally {
    isSettled = true;
    cancelLimit();
    signal.removeEventListener("abort", end);
  }
}
