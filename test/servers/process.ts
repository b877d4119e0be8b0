// Servers as child processes, ended by pid: by us, by the kernel when we die, or by the next run.
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { blockUntil, isStopped, listProcesses } from "./proc.ts";
import { atExit, owner, startTime, stateFolder } from "./run.ts";
import { GiveUp, waitFor } from "./wait.ts";

/** How a server is started, and how one sees that it is up. */
export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Looked at until it is true; an error counts as "not yet". */
  readonly ready: () => boolean | Promise<boolean>;
  /** How long it may take to become ready, in ms (default 20 s). */
  readonly readyWithin?: number;
  /** Gets its standard output and its errors, after what is in it already. */
  readonly logFile: string;
  /** How long `stop` waits after SIGTERM before it sends SIGKILL, in ms (default 5 s). */
  readonly stopWithin?: number;
  /** What the kernel sends it when this process dies (default SIGKILL); SIGTERM for what has its own children. */
  readonly whenOrphaned?: "SIGKILL" | "SIGTERM";
  /** A folder whose other processes and mounts go too (see sweep.ts), when a later run ends it. */
  readonly sweep?: string;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A server that runs, or has run. */
export interface RunningProcess {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  isRunning(): boolean;
  /** SIGTERM, then SIGKILL to its process group; resolves when it is gone. Again: nothing. */
  stop(): Promise<Exit>;
  /** Sends a signal; SIGKILL (the default) goes to its whole process group, SIGSTOP has worked when this returns. */
  kill(signal?: NodeJS.Signals): void;
  /** The last lines of its log. */
  logTail(lines?: number): string;
}

/** What is kept on disk about a started process, so that a later run can end it if this one cannot. */
export interface ProcessRecord {
  readonly name: string;
  readonly pid: number;
  /** Its start time, see `startTime`. */
  readonly start: string;
  readonly program: string;
  readonly owner: string;
  readonly sweep?: string;
}

/**
 * Starts a server in its own process group and waits until it is ready.
 * @throws an error with the end of its log when it ends early or is not ready in time; it is ended then
 */
export async function startProcess(spec: ProcessSpec): Promise<RunningProcess> {
  const { name, command, args, readyWithin = 20_000, stopWithin = 5_000, whenOrphaned = "SIGKILL" } = spec;
  mkdirSync(dirname(spec.logFile), { recursive: true });
  const log = openSync(spec.logFile, "a");
  // setpriv becomes the server itself, so the pid is the server's.
  const child = spawn("setpriv", ["--pdeathsig", whenOrphaned.slice(3), "--", command, ...args], {
    cwd: spec.cwd,
    env: { ...process.env, ...spec.env },
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  const { pid } = child;
  if (pid === undefined) {
    const cause = await new Promise<Error>((resolve) => child.once("error", resolve));
    throw new Error(`${name}: cannot be started: ${cause.message}`, { cause });
  }
  const exit = new Promise<Exit>((resolve) =>
    child.once("exit", (code, signal) => resolve({ code, signal })),
  );
  let ended: Exit | undefined;
  const forget = remember({
    ...{ name, pid, start: startTime(pid) ?? "", program: basename(program(command, args)), owner },
    ...(spec.sweep === undefined ? {} : { sweep: spec.sweep }),
  });
  const exited = exit.then(async (how) => {
    ended = how;
    // What the server leaves of its group (workers of a killed master) goes with it, and so do its ports.
    signalGroup(pid, "SIGKILL");
    await groupIsGone(pid);
    forget();
    return how;
  });

  const logTail = (lines = 25): string =>
    existsSync(spec.logFile)
      ? readFileSync(spec.logFile, "utf8").trimEnd().split("\n").slice(-lines).join("\n")
      : "";
  const running: RunningProcess = {
    pid,
    exited,
    logTail,
    isRunning: () => ended === undefined,
    kill: (signal = "SIGKILL") => {
      if (ended !== undefined) return;
      if (signal === "SIGKILL") return signalGroup(pid, signal);
      process.kill(pid, signal);
      if (signal === "SIGSTOP") blockUntil(() => isStopped(pid), 1_000);
    },
    stop: async () => {
      running.kill("SIGTERM");
      running.kill("SIGCONT"); // a stopped process does not see its SIGTERM
      const timer = setTimeout(() => running.kill("SIGKILL"), stopWithin);
      const exit = await exited;
      clearTimeout(timer);
      return exit;
    },
  };

  try {
    await waitFor(
      `${name} to be ready`,
      () => {
        if (ended !== undefined)
          throw new GiveUp(`ended with ${ended.signal ?? `code ${ended.code}`} before it was ready`);
        return spec.ready();
      },
      { within: readyWithin },
    );
  } catch (cause) {
    running.kill("SIGKILL");
    await exited;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `${name}: ${reason}\n${command} ${args.join(" ")}\nEnd of ${spec.logFile}:\n${logTail()}`,
      { cause },
    );
  }
  return running;
}

/** Signals every process of a group; a group that is gone is no error. */
export function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // Nobody left.
  }
}

/** What the command line runs in the end, past a prefix that enters a namespace. */
const program = (command: string, args: readonly string[]): string =>
  command === "nsenter" ? (args[args.indexOf("--") + 1] ?? command) : command;

/** Waits, up to 2 s, until no process of a group runs any more. */
async function groupIsGone(group: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (!listProcesses().some((one) => one.group === group && !one.isZombie)) return;
    await sleep(10);
  }
}

/** Writes the record, and ends the process if we end first; returns what takes both back. */
function remember(record: ProcessRecord): () => void {
  const file = join(stateFolder("processes"), `${record.pid}-${record.start}.json`);
  writeFileSync(file, JSON.stringify(record));
  const stayed = atExit(() => {
    signalGroup(record.pid, "SIGKILL");
    rmSync(file, { force: true });
  });
  return () => {
    stayed();
    rmSync(file, { force: true });
  };
}
