/** A running registrator or templater, as the status endpoints and the command line see it. */
export interface Daemon {
  /** Why it is not in sync with the world, one sentence each; empty when it is. */
  notReady(): readonly string[];
  /** Everything that an operator may want to see, as JSON values. */
  status(): unknown;
  /** Resolves at the first moment at which it is in sync; rejects when `signal` aborts. */
  synced(signal: AbortSignal): Promise<void>;
  /** Asks for a fresh look at everything: SIGHUP. */
  refresh(): void;
  /** Finishes the work in hand and ends. */
  stop(): Promise<void>;
}
