import { readFile, stat } from "node:fs/promises";
import { identity } from "../../alive.ts";
import { hasCode } from "../../durable.ts";
import { wallStartOf } from "./processes.ts";
import { ReloadError } from "./reloader.ts";

/**
 * The process that a pidfile names, unless that is another one by now: a program that was killed leaves its
 * pidfile, and the kernel gives the number to the next process. `stranger` says in half a sentence why the
 * process is none of the program's; undefined: it is. Rejects with RELOAD_FAILED when the pidfile names none
 * that may be signalled.
 */
export async function readPidfile(
  name: NodeJS.Signals,
  pidfile: string,
  stranger: (pid: number) => Promise<string | undefined>,
): Promise<number> {
  const text = await readFile(pidfile, "utf8").catch((error) => {
    if (!hasCode(error, "ENOENT")) throw notSent(name, pidfile, `cannot be read: ${error.message}`, error);
    const reason = "does not exist; the program is probably not running, or writes another one";
    throw notSent(name, pidfile, reason, error);
  });
  const pid = parsePid(text);
  if (pid === undefined) {
    throw notSent(name, pidfile, `holds ${JSON.stringify(text.slice(0, 40))}, which is no process id`);
  }
  // Left over from a program that is gone: a signal such as SIGUSR2 would end us.
  if (pid === process.pid) {
    throw notSent(name, pidfile, `names Portolan itself (process ${pid}); start the program again`);
  }
  const why = await stranger(pid);
  if (why !== undefined) {
    throw notSent(name, pidfile, `names process ${pid}, which ${why}; start the program again`);
  }
  return pid;
}

/** The process and the pidfile of a signal that was sent, by the pidfile's path. */
const known = new Map<string, string>();

/**
 * A process that was started after its pidfile was written is another one. The two times are of the wall clock,
 * which may be set in between; so what was found to be right once stays that.
 */
export async function laterThan(pidfile: string, pid: number): Promise<string | undefined> {
  const written = await stat(pidfile).catch(() => undefined);
  const started = await wallStartOf(pid);
  if (written === undefined || started === undefined) return undefined;
  const pair = `${identity(pid)} ${written.ino} ${written.mtimeMs}`;
  // What /proc says of the start is a second off at most.
  if (known.get(pidfile) !== pair && started > written.mtimeMs + 2_000)
    return "was started after that file was written: the number was used again";
  known.set(pidfile, pair);
  return undefined;
}

/** Sends a signal to the process that a pidfile named. Throws RELOAD_FAILED. */
export function sendSignal(name: NodeJS.Signals, pid: number, pidfile: string): void {
  signalProcess(name, { name, pid, pidfile });
}

/** Throws what `sendSignal` would throw, and sends nothing. */
export function askToSignal(name: NodeJS.Signals, pid: number, pidfile: string): void {
  signalProcess(0, { name, pid, pidfile });
}

function signalProcess(
  signal: NodeJS.Signals | 0,
  { name, pid, pidfile }: { readonly name: NodeJS.Signals; readonly pid: number; readonly pidfile: string },
): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (hasCode(error, "ESRCH"))
      throw notSent(name, pidfile, `names process ${pid}, which does not run; start the program`, error);
    if (hasCode(error, "EPERM")) {
      const reason = `names process ${pid}, which another user runs; run as that user or as root`;
      throw notSent(name, pidfile, reason, error);
    }
    throw notSent(
      name,
      pidfile,
      `names process ${pid}: ${error instanceof Error ? error.message : error}`,
      error,
    );
  }
}

function notSent(name: NodeJS.Signals, pidfile: string, reason: string, cause?: unknown): ReloadError {
  return new ReloadError("none", `${name} was not sent: pidfile ${pidfile} ${reason}`, { cause });
}

/** The first line's number. Zero and numbers beyond the kernel's (2^22) would mean groups or everybody. */
export function parsePid(text: string): number | undefined {
  const digits = /^\s*(?<pid>\d+)\s*(?:\n|$)/.exec(text)?.groups?.pid;
  const pid = Number(digits);
  return digits !== undefined && pid >= 1 && pid <= 2 ** 22 ? pid : undefined;
}
