import { backoff, monotonic, pause } from "../../clock.ts";
import type { Problem } from "../../source.ts";

/** When the queries of one backend may ask again after they failed, however many there are. */
export interface Retries {
  /** Resolves when a query that failed so often before may ask again, or `signal` aborts. */
  wait(kind: Problem["kind"], failures: number, signal: AbortSignal): Promise<void>;
  /** One that had failed in this way got through: all others of its kind may ask at once. */
  through(kind: Problem["kind"]): void;
}

/** ms between two retries at least: no more than three a second. */
const apart = 350;

/** Nobody waits yet. What is denied is not woken by the end of an outage, and the other way round. */
export function createRetries(): Retries {
  const lanes = { unreachable: createLane(), denied: createLane() };
  return {
    wait: (kind, failures, signal) => lanes[kind].wait(failures, signal),
    through: (kind) => lanes[kind].through(),
  };
}

function createLane() {
  const waiting = new Set<AbortController>();
  let last = 0;
  return {
    async wait(failures: number, signal: AbortSignal) {
      const now = monotonic();
      last = Math.max(last + apart, now + backoff(failures, 100));
      const own = new AbortController();
      const end = () => own.abort();
      signal.addEventListener("abort", end, { once: true });
      if (signal.aborted) end();
      waiting.add(own);
      await pause(last - now, own.signal);
      waiting.delete(own);
      signal.removeEventListener("abort", end);
    },
    through() {
      last = 0;
      for (const other of waiting) other.abort();
    },
  };
}
