import { after, backoff, monotonic, pause } from "../../clock.ts";
import { coded, PortolanError } from "../../errors.ts";
import { createCell, type Problem, type Source } from "../../source.ts";
import type { Answer, Question } from "./api.ts";
import type { Retries } from "./retries.ts";

/** ms that a Consul which came back without what it had is given to be filled again. */
const usualGrace = 15_000;

/** One thing that is asked again and again. */
export interface Query<T> {
  ask(question: Question, signal: AbortSignal): Promise<Answer>;
  /**
   * What the answer says; `previous` when it says the same, which is then no change: Consul also wakes a query for
   * changes elsewhere.
   */
  read(answer: Answer, previous: T | undefined): T;
  /** Whether something is missing that nobody announced to go. */
  isLess(value: T, previous: T): boolean;
  /** ms until the latest answer is to be read again, though nothing has changed; absent or undefined: never. */
  againIn?(): number | undefined;
}

/**
 * Keeps asking a blocking query and publishes what it reads in the answers.
 *
 * After a failure, and for `refresh`, the question is asked anew without an index: an agent that restarted
 * with an older index would else hold it until the wait is over. An answer that is older than one before, and says
 * something else, is asked for once more, consistently: somebody started Consul with another state. What is
 * missing then is given `grace` ms to be registered again, with the problem beside the value of before.
 */
export function watchQuery<T>(
  { ask, read, isLess, againIn = () => undefined }: Query<T>,
  retries: Retries,
  grace = usualGrace,
): Source<T> {
  const cell = createCell<T>();
  let turn = new AbortController();
  let index = 0;
  let ended = false;
  let refreshing = false;
  /** Until when a Consul that came back without what it had may be filled again. */
  let fillUntil = 0;
  let cancelLook = () => {};

  const refresh = () => {
    index = 0;
    refreshing = true;
    turn.abort();
  };
  const unsure = (message: string) =>
    cell.fail({ kind: "unreachable", error: new PortolanError("BACKEND_UNREACHABLE", message) });

  const loop = async () => {
    let newest = 0;
    let consistent = false;
    let failures = 0;
    let failed: Problem["kind"] | undefined;
    let idle = 0;
    while (!ended) {
      turn = new AbortController();
      const asked = monotonic();
      try {
        const answer = await ask({ index, consistent }, turn.signal);
        if (ended) return;
        if (failed) retries.through(failed);
        failed = undefined;
        failures = 0;
        const before = cell.current();
        const value = read(answer, before.known ? before.value : undefined);
        const news = !before.known || before.value !== value;
        if (answer.index < newest && news && !consistent) {
          index = 0;
          consistent = true;
          unsure("Consul's index went back; reading again");
          continue;
        }
        if (answer.index < newest && news) fillUntil = monotonic() + grace;
        consistent = false;
        index = Math.max(1, answer.index);
        newest = index;
        cancelLook();
        const left = fillUntil - monotonic();
        if (left > 0 && before.known && isLess(value, before.value)) {
          cancelLook = after(left, refresh);
          unsure("Consul came back without what it had; waiting for it to be registered again");
          continue;
        }
        fillUntil = 0;
        const again = againIn();
        if (again !== undefined) cancelLook = after(again, refresh);
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
        failed = failure.code === "BACKEND_DENIED" ? "denied" : "unreachable";
        cell.fail({ kind: failed, error: failure });
        await retries.wait(failed, failures, turn.signal);
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
    refresh,
    async close() {
      ended = true;
      cancelLook();
      turn.abort();
    },
  };
}
