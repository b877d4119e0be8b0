import type { Instance } from "../instance.ts";
import { type Cell, createCell, type Problem } from "../source.ts";
import type { Interest, Observation, Snapshot } from "./backend.ts";
import { emptySnapshot, only, type Records, shareSnapshot } from "./records.ts";

/** What keeps the records that the observations show. */
export interface Watch {
  /** Called at the first observation: begin to read. What the records hold then is not shown. */
  start(): void;
  /** Called when the last observation has closed: reading is of no use until the next `start`. */
  stop(): void;
  /** Somebody thinks that something was missed: read everything again soon. */
  refresh(): void;
  /** Which of the records count; all when absent. */
  visible?(instance: Instance): boolean;
}

/** The observations of one backend, which all show the same records, each through its own interest. */
export interface Observers {
  observe(interest: Interest): Observation;
  /** The records are complete and as new as it gets: shows them, and ends any problem. */
  publish(): void;
  /** The records may be stale: everybody keeps what it has, with the problem beside it. */
  fail(problem: Problem): void;
  /** Ends all observations, as their own `close` does. */
  close(): void;
}

interface Observer {
  readonly cell: Cell<Snapshot>;
  interest: Interest;
  last: Snapshot;
}

/** One watch for any number of observations over `records`. */
export function createObservers(records: Pick<Records, "snapshot">, watch: Watch): Observers {
  const all = new Set<Observer>();
  let known = false;
  /** What was published last. The records themselves may be half-read at any other moment. */
  let latest = emptySnapshot;
  let problem: Problem | undefined;

  const show = (observer: Observer) => {
    if (!known) return;
    observer.last = shareSnapshot(observer.last, only(latest, observer.interest));
    observer.cell.set(observer.last);
    // A changed interest is answered in an outage too.
    if (problem) observer.cell.fail(problem);
  };

  const end = (observer: Observer) => {
    if (!all.delete(observer) || all.size > 0) return;
    known = false;
    problem = undefined;
    watch.stop();
  };

  return {
    observe(interest) {
      const observer: Observer = { cell: createCell(), interest, last: emptySnapshot };
      all.add(observer);
      if (problem) observer.cell.fail(problem);
      if (all.size === 1) watch.start();
      show(observer);
      return {
        current: observer.cell.current,
        subscribe: (listener) =>
          observer.cell.subscribe(() => {
            if (all.has(observer)) listener();
          }),
        refresh: () => {
          if (all.has(observer)) watch.refresh();
        },
        want(next) {
          observer.interest = next;
          if (all.has(observer)) show(observer);
        },
        close: async () => end(observer),
      };
    },
    publish() {
      // What is still being read when the last observation closes concerns nobody.
      if (all.size === 0) return;
      known = true;
      problem = undefined;
      latest = records.snapshot(latest, watch.visible);
      for (const observer of all) show(observer);
    },
    fail(next) {
      if (all.size === 0) return;
      problem = next;
      for (const observer of all) observer.cell.fail(next);
    },
    close() {
      for (const observer of all) end(observer);
    },
  };
}
