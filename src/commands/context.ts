import type { CommandName } from "../config/command-name.ts";
import type { Env, Settings } from "../config/settings.ts";
import type { Log } from "../log.ts";

/** What a command is given to work with. */
export interface Context {
  readonly command: CommandName;
  /** Without mistakes, except for `check`, which is there to report them. */
  readonly settings: Settings;
  /** Reads the environment and the config file again. */
  reread(): Promise<Settings>;
  readonly env: Env;
  readonly cwd: string;
  readonly version: string;
  readonly log: Log;
  /** Standard error is a terminal. */
  readonly terminal: boolean;
  /** Writes results to standard output. */
  print(text: string): void;
  /** Writes a line for people to standard error. */
  say(line: string): void;
  /** Aborts at SIGTERM and SIGINT. */
  readonly stop: AbortSignal;
  /** Aborts at a second SIGTERM or SIGINT: what somebody else should see before the end is not waited for. */
  readonly hurry: AbortSignal;
  /** Gives the end of the process this many ms more, until a second signal. */
  linger(ms: number): void;
  /** Calls `listener` at each SIGHUP from now on. */
  onReload(listener: () => void): void;
  /** Says that start-up is over: from now on an unforeseen error is logged and not fatal. */
  started(): void;
}

/** Does a command's work and resolves with the exit code. */
export type Run = (context: Context) => Promise<number>;
