import type { Environment } from "../run.ts";

/** What a reload is told. */
export interface ReloadContext {
  /** The file that has changed. */
  readonly destination: string;
  /** ms that the reload may take. */
  readonly timeout: number;
  /** For commands: the process's own variables and PORTOLAN_*. */
  readonly env: Environment;
}

/**
 * Tells a proxy that its file has changed; resolves when the proxy has accepted it, as far as its kind of
 * reload can know. Called again after a failure and after a crash, so once too often must do no harm. Rejects
 * with RELOAD_FAILED, and with ABORTED when `signal` aborts, which leaves open what the proxy did.
 */
export type Reloader = (context: ReloadContext, signal: AbortSignal) => Promise<void>;
