import { readFile } from "node:fs/promises";
import { hasCode } from "../../durable.ts";
import { PortolanError } from "../../errors.ts";
import type { Reloader } from "./reloader.ts";

/** Sends a signal to the process in a pidfile, which is read each time. Sent is accepted: no proxy answers. */
export function signalReload(name: NodeJS.Signals, pidfile: string): Reloader {
  const failed = (reason: string, cause?: unknown) =>
    new PortolanError("RELOAD_FAILED", `${name} was not sent: pidfile ${pidfile} ${reason}`, { cause });

  return async () => {
    const text = await readFile(pidfile, "utf8").catch((error) => {
      if (!hasCode(error, "ENOENT")) throw failed(`cannot be read: ${error.message}`, error);
      throw failed("does not exist; the program is probably not running, or writes another one", error);
    });
    const pid = parsePid(text);
    if (pid === undefined) {
      throw failed(`holds ${JSON.stringify(text.slice(0, 40))}, which is no process id`);
    }
    // Left over from a program that is gone: a signal such as SIGUSR2 would end us.
    if (pid === process.pid) throw failed(`names Portolan itself (process ${pid}); start the program again`);
    try {
      process.kill(pid, name);
    } catch (error) {
      if (hasCode(error, "ESRCH"))
        throw failed(`names process ${pid}, which does not run; start the program`, error);
      if (hasCode(error, "EPERM")) {
        throw failed(`names process ${pid}, which another user runs; run as that user or as root`, error);
      }
      throw failed(`names process ${pid}: ${error instanceof Error ? error.message : error}`, error);
    }
  };
}

/** The first line's number. Zero and numbers beyond the kernel's (2^22) would mean groups or everybody. */
export function parsePid(text: string): number | undefined {
  const digits = /^\s*(?<pid>\d+)\s*(?:\n|$)/.exec(text)?.groups?.pid;
  const pid = Number(digits);
  return digits !== undefined && pid >= 1 && pid <= 2 ** 22 ? pid : undefined;
}
