import { deadline } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import type { Source } from "../source.ts";

/**
 * Calls `look` now and after each change of the observation, until it gives something. Rejects with the
 * backend's own problem when it refuses, or when nothing has come after `ms`; with ABORTED once `stop` aborts.
 */
export function settle<T>(
  observation: Pick<Source<unknown>, "current" | "subscribe">,
  title: string,
  look: () => T | undefined,
  ms: number,
  stop: AbortSignal,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = deadline(ms, stop);
    const finish = (settle: () => void) => {
      unsubscribe();
      end.removeEventListener("abort", late);
      settle();
    };
    const late = () => {
      const { problem } = observation.current();
      const silent = new PortolanError(
        "BACKEND_UNREACHABLE",
        `${title} did not answer within ${ms / 1000} s`,
      );
      const aborted = new PortolanError("ABORTED", "interrupted");
      finish(() => reject(stop.aborted ? aborted : (problem?.error ?? silent)));
    };
    const attempt = () => {
      try {
        const found = look();
        const { problem } = observation.current();
        if (found !== undefined) finish(() => resolve(found));
        else if (problem?.kind === "denied") finish(() => reject(problem.error));
      } catch (error) {
        finish(() => reject(error));
      }
    };
    const unsubscribe = observation.subscribe(attempt);
    end.addEventListener("abort", late, { once: true });
    if (end.aborted) late();
    else attempt();
  });
}
