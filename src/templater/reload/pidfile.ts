import { readFile } from "node:fs/promises";
import { hasCode } from "../../durable.ts";
import { ReloadError } from "./reloader.ts";

/** The process that a pidfile names. Rejects with RELOAD_FAILED when it names none that may be signalled. */
export async function readPidfile(name: NodeJS.Signals, pidfile: string): Promise<number> {
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
  return pid;
}

/** Sends a signal to the process that a pidfile named. Rejects with RELOAD_FAILED. */
export function sendSignal(name: NodeJS.Signals, pid: number, pidfile: string): void {
  try {
    process.kill(pid, name);
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
