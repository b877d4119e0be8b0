import { PortolanError } from "../../errors.ts";
import type { Environment } from "../../run-command.ts";

/** A file that has changed, from the proxy's side. */
export interface Change {
  /** What the proxy runs with, as far as is known: the text that it accepted last. */
  readonly before: string | undefined;
  readonly after: string;
}

/** What a reload is told. */
export interface ReloadContext {
  /** The file that has changed; the first one of a group. */
  readonly destination: string;
  /** Every file that has changed. */
  readonly changes: readonly Change[];
  /** When the last of them became live, on the monotonic clock in ms; undefined when that was another process. */
  readonly swappedAt: number | undefined;
  /** ms that the reload may take. */
  readonly timeout: number;
  /** For commands: the process's own variables and PORTOLAN_*. */
  readonly env: Environment;
  /** Waits until `minInterval` lets another reload happen: for what turned out late to need one. */
  interval(): Promise<void>;
  /**
   * To be asked right before the proxy is told to reload, and not for what takes no reload: undefined when it may be
   * told now, else what that waits for. Rejects with ABORTED.
   */
  clearance(): Promise<Owed | undefined>;
}

/** How it came that the proxy has accepted its file, or why that is still to come. */
export type Reloaded =
  /**
   * runtime: it was changed while it ran. start: it was started after the swap and has read the new file.
   * reload: it was reloaded.
   */
  | {
      readonly accepted: "reload" | "runtime" | "start";
      readonly note?: string;
      /** How many changes of single servers it took at runtime. */
      readonly operations?: number;
    }
  | Owed;

/**
 * away: the proxy does not run; it is asked again later. held: it is not to be reloaded now; that is tried again
 * later. Nothing was done, unless it is `begun`.
 */
export interface Owed {
  readonly owed: "away" | "held";
  readonly reason: string;
  /** ms until it is to be tried again, where that is known. */
  readonly retryIn?: number;
  /** The proxy may have taken a part of the change already. */
  readonly begun?: boolean;
}

/**
 * What a proxy runs with after a reload that failed. none: nobody was there to be told. before: what it had
 * before, for sure. open: nobody knows.
 */
export type Left = "none" | "before" | "open";

/** A reload that failed, with what that means for the proxy. */
export class ReloadError extends PortolanError {
  readonly left: Left;
  /** True once the last good file is back. */
  readonly restored: boolean;

  constructor(
    left: Left,
    message: string,
    options: { readonly cause?: unknown; readonly restored?: boolean } = {},
  ) {
    super("RELOAD_FAILED", message, options);
    this.name = "ReloadError";
    this.left = left;
    this.restored = options.restored ?? false;
  }
}

/**
 * Tells a proxy that its file has changed; resolves when the proxy has accepted it, as far as its kind of
 * reload can know. Called again after a failure and after a crash, so once too often must do no harm. Rejects
 * with RELOAD_FAILED (a ReloadError), and with ABORTED when `signal` aborts, which leaves open what the proxy
 * did.
 */
export type Reloader = (context: ReloadContext, signal: AbortSignal) => Promise<Reloaded>;
