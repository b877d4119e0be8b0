import { backoff, monotonic, pause } from "../clock.ts";
import { coded, PortolanError } from "../errors.ts";
import { createCell, type Problem, type Source } from "../source.ts";
import type { Answer, Question } from "./consul-api.ts";

/** Queries that wait to be retried, so that the first answer after an outage wakes all of them. */
export type Waiting = Set<AbortController>;

/**
 * Keeps asking a blocking query and publishes what `read` makes of the answers. `read` returns `previous` when
 * its answer says the same, which is then no change: Consul also wakes a query for changes elsewhere.
 *
 * After a failure, and for `refresh`, the question is asked anew without an index: an agent that restarted
 * with an older index would else hold it until the wait is over. An answer older than one before is asked for
 * once more with `consistent`, and believed then: somebody started Consul with another state. Like any answer
 * after a failure it ends a problem, by which a reader knows that a drop may not be what the owners want.
 */
export function watchQuery<T>(
  ask: (question: Question, signal: AbortSignal) => Promise<Answer>,
  read: (body: unknown, previous: T | undefined) => T,
  waiting: Waiting,
): Source<T> {
  const cell = createCell<T>();
  let turn = new AbortController();
  let index = 0;
  let ended = false;
  let refreshing = false;

  const loop = async () => {
    let newest = 0;
    let consistent = false;
    let failures = 0;
    let idle = 0;
    while (!ended) {
      turn = new AbortController();
      const asked = monotonic();
      try {
        const answer = await ask({ index, consistent }, turn.signal);
        if (ended) return;
        if (failures > 0) for (const other of waiting) other.abort();
        failures = 0;
        if (answer.index < newest && !consistent) {
          index = 0;
          consistent = true;
          cell.fail(
            problemOf(new PortolanError("BACKEND_UNREACHABLE", "Consul's index went back; reading again")),
          );
          continue;
        }
        consistent = false;
        index = Math.max(1, answer.index);
        newest = index;
        const before = cell.current();
        const value = read(answer.body, before.known ? before.value : undefined);
        const news = !before.known || before.value !== value;
        cell.set(value);
        idle = news || monotonic() - asked > 1000 ? 0 : idle + 1;
        // Woken again and again without news: let the changes elsewhere add up.
        if (idle > 2) await pause(backoff(idle, 2, 100), turn.signal);
      } catch (error) {
        const failure = coded("BACKEND_UNREACHABLE", error);
        index = 0;
        consistent = false;
        if (!ended && refreshing) continue;
        // Nobody but close and refresh cancels; without refresh the whole backend was closed.
        if (ended || failure.code === "ABORTED") return;
        cell.fail(problemOf(failure));
        waiting.add(turn);
        await pause(backoff(failures, 100), turn.signal);
        waiting.delete(turn);
        failures += 1;
      } finally {
        refreshing = false;
      }
    }
  };
  void loop();

  return {
    current: cell.current,
    subscribe: cell.subscribe,
    refresh() {
      index = 0;
      refreshing = true;
      turn.abort();
    },
    async close() {
      ended = true;
      turn.abort();
    },
  };
}

const problemOf = (error: PortolanError): Problem => ({
  kind: error.code === "BACKEND_DENIED" ? "denied" : "unreachable",
  error,
});
