import type { DaemonStatus } from "./daemon-status.ts";

/** A running registrator or templater, as the status endpoints and the command line see it. */
export interface Daemon<S extends DaemonStatus = DaemonStatus> {
  /** Why it is not in sync with the world, one sentence each; empty when it is. */
  notReady(): readonly string[];
  /** Everything that an operator may want to see, as JSON values. */
  status(): S;
  /** Resolves at the first moment at which it is in sync; rejects when `signal` aborts. */
  synced(signal: AbortSignal): Promise<void>;
  /** Asks for a fresh look at everything: SIGHUP. */
  refresh(): void;
  /**
   * Shows what is to come to those who read, for as long as they should see it; a `stop` that follows does not
   * show it again, and one without this does it by itself. Ends once `hurry` aborts.
   */
  drain?(hurry?: AbortSignal): Promise<void>;
  /** Finishes the work in hand and ends. Waits for nobody else any more once `hurry` aborts. */
  stop(hurry?: AbortSignal): Promise<void>;
}

/** Lets others wait for the moment at which nothing is in the way any more. */
export interface Readiness {
  /** Says that the answer of `notReady` may have changed. */
  changed(): void;
  synced(signal: AbortSignal): Promise<void>;
}

/** A readiness that asks `notReady` after each change. */
export function createReadiness(notReady: () => readonly string[]): Readiness {
  const waiting = new Set<() => void>();
  return {
    changed() {
      for (const look of [...waiting]) look();
    },
    synced: (signal) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (signal.aborted) reject(signal.reason);
          else if (notReady().length > 0) return;
          else resolve();
          waiting.delete(look);
          signal.removeEventListener("abort", look);
        };
        waiting.add(look);
        signal.addEventListener("abort", look, { once: true });
        look();
      }),
  };
}
