import type { Log } from "../log.ts";
import type { Turn } from "../loop.ts";
import type { Environment } from "../run-command.ts";
import type { File } from "./part.ts";
import type { Records } from "./records.ts";
import type { Owed, ReloadContext, Reloaded } from "./reload/index.ts";
import type { Swapped } from "./verdicts.ts";

/** Rendered texts, and what it takes to make them count. */
export interface InstallRequest {
  /** One file, or all of a group. */
  readonly files: readonly File[];
  readonly turn: Turn;
  readonly records: Records;
  /** The templater's counter, for PORTOLAN_REVISION. */
  readonly revision: number;
  /** Names of the services that changed since the last install, for PORTOLAN_CHANGED. */
  readonly changed: readonly string[];
  /** What check and reload get besides PORTOLAN_*: the process's own variables. */
  readonly env: Environment;
  /** Gets one warning per process and destination that is written in place. */
  readonly log: Pick<Log, "warn">;
  /** Waits until `minInterval` lets another reload happen, for what turned out late to need one. */
  readonly interval?: () => Promise<void>;
  /** Whether a proxy may be reloaded now; always when absent. */
  readonly clearance?: ReloadContext["clearance"];
  /** Called before anything goes live, after the checks: nothing does when it rejects. */
  readonly swapping?: () => Promise<void>;
  /** Called once new bytes are live: with what was there before, and what is there now. */
  readonly swapped?: (files: readonly Swapped[]) => void;
  /** The files have been accepted before: what verifies a reload is not asked. */
  readonly knownGood?: boolean;
  /** Called after each reload, also after one that failed; not for what was done without one. */
  readonly reloaded?: () => void;
}

/** A step of an install that takes time. */
export type Step = "stage" | "check" | "swap" | "reload" | "verify";

/** What an install did. */
export interface Installed {
  /**
   * applied: new bytes are live and accepted. reloaded: the bytes were live already, and are accepted now.
   * unchanged: nothing was to be done. superseded: nothing was done, because something newer has come. owed:
   * the bytes are live, and the proxy has still to take them; `owed` says why, and the install is to be called
   * again.
   */
  readonly verdict: "applied" | "reloaded" | "unchanged" | "superseded" | "owed";
  readonly owed?: Owed;
  /** How the proxy took it: reload, runtime or start. */
  readonly by?: Extract<Reloaded, { accepted: unknown }>["accepted"];
  /** Why it was a reload. */
  readonly note?: string;
  /** How many changes of single servers it took at runtime. */
  readonly operations?: number;
  /** ms that each step took; a step that was not needed is absent. */
  readonly took: Readonly<Partial<Record<Step, number>>>;
}
