import { monotonic } from "../clock.ts";
import type { Step } from "./install-request.ts";

/** Does the work of a step, and adds the time that it took. */
export type Timed = <T>(step: Step, work: () => Promise<T>) => Promise<T>;

/** Measures the steps of an install, in ms. */
export function createStopwatch() {
  const took: Partial<Record<Step, number>> = {};
  const timed: Timed = async (step, work) => {
    const start = monotonic();
    try {
      return await work();
    } finally {
      took[step] = (took[step] ?? 0) + monotonic() - start;
    }
  };
  return { took, timed };
}
