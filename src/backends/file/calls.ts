import { limited } from "../limited.ts";
import { createTurns } from "../turns.ts";
import { fileError } from "./store.ts";

/** Does work on the files of one thing, as a call to a store: each after the one before, with the backend's own errors. */
export type FileCall = <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T>;

/** Calls about one thing, of which none has begun yet; `title` is the backend's. */
export function createFileCalls(title: string): FileCall {
  const inTurn = createTurns();
  return (signal, work) =>
    limited(
      signal,
      () => inTurn(work),
      (error) => fileError(title, error),
    );
}
