import { constants } from "node:fs";
import { open, readFile, stat } from "node:fs/promises";
import { isAbsolute } from "node:path";
import { deadline, pause } from "../../clock.ts";
import { PortolanError } from "../../errors.ts";
import type { NginxReload } from "../target.ts";
import { readPidfile, sendSignal } from "./pidfile.ts";
import { childrenOf, titleOf } from "./processes.ts";
import { type Left, ReloadError, type Reloader } from "./reloader.ts";

/** ms between two looks at the workers. */
const interval = 25;

/**
 * Sends SIGHUP and waits for new workers: nginx starts them only when it has accepted its configuration, and
 * goes on with the old ones otherwise. kill(2) and `nginx -s reload` succeed in both cases.
 */
export function nginxReload({ pidfile, maxOld, errorLog }: NginxReload): Reloader {
  return async ({ destination, timeout, clearance }, signal) => {
    const pid = await readPidfile("SIGHUP", pidfile, async (found) => {
      const title = await titleOf(found);
      return title === "" || title.startsWith("nginx: master process")
        ? undefined
        : `is no master of nginx but \`${title.slice(0, 100)}\``;
    });
    const { current, old } = await workersOf(pid);
    if (Math.ceil(old.length / Math.max(1, current.length)) > maxOld) {
      const reason = `${old.length} old workers of nginx are still shutting down; worker_shutdown_timeout would bound that`;
      return { owed: "held", reason };
    }
    const held = await clearance();
    if (held) return held;
    const before = await workersOf(pid);
    const log = await followLog(errorLog ?? (await errorLogOf(destination)));
    sendSignal("SIGHUP", pid, pidfile);

    const failed = (left: Left, reason: string) =>
      new ReloadError(left, `the reload of ${destination} failed: ${reason}`);
    const known = new Set([...before.current, ...before.old]);
    const limit = deadline(timeout, signal);
    while (!limit.aborted) {
      const { current } = await workersOf(pid);
      if (current.some((worker) => !known.has(worker))) return { accepted: "reload" };
      const said = refusals(await log(), pid);
      if (said.some(isFinal))
        throw failed(
          "before",
          `nginx refused it and goes on with what it had:\n${said.join("\n").slice(-8192)}`,
        );
      await pause(interval, limit);
    }
    if (signal.aborted) throw new PortolanError("ABORTED", `the reload of ${destination} was cancelled`);
    const where = log.path === undefined ? "; its error log says why" : ` and said nothing in ${log.path}`;
    // It may have been about to: what is put back is given a reload of its own.
    throw failed("open", `nginx started no new workers within ${timeout / 1000} s${where}`);
  };
}

interface Workers {
  /** Pids of those that serve. */
  readonly current: readonly number[];
  /** Pids of those that only finish what they have. */
  readonly old: readonly number[];
}

/** nginx gives its processes titles: `nginx: worker process`, then `nginx: worker process is shutting down`. */
async function workersOf(master: number): Promise<Workers> {
  const workers = (await childrenOf(master)).filter(({ title }) => title.startsWith("nginx: worker process"));
  const isOld = ({ title }: { title: string }) => title.includes("shutting down");
  return {
    current: workers.filter((worker) => !isOld(worker)).map(({ pid }) => pid),
    old: workers.filter(isOld).map(({ pid }) => pid),
  };
}

/** What this master could not do: `2026/01/31 12:00:00 [emerg] 17#17: …`. Others may write into the same log. */
function refusals(text: string, pid: number): readonly string[] {
  return text.split("\n").filter((line) => line.includes(`[emerg] ${pid}#`));
}

/** nginx tries five times to bind a port, and says so each time. */
function isFinal(line: string): boolean {
  return !/bind\(\) to .* failed/.test(line);
}

/** The first absolute `error_log` of a configuration. */
async function errorLogOf(destination: string): Promise<string | undefined> {
  const text = await readFile(destination, "utf8").catch(() => "");
  const path = /^\s*error_log\s+"?(?<path>[^\s;"]+)/m.exec(text)?.groups?.path;
  return path !== undefined && isAbsolute(path) && !path.startsWith("/dev/") ? path : undefined;
}

/**
 * Gives what is appended to a log from now on, the first 64 KiB of it. Only a regular file tells: reading a pipe
 * would wait, and take from whoever it is for.
 */
async function followLog(path: string | undefined) {
  const found = path === undefined ? undefined : await stat(path).catch(() => undefined);
  if (path === undefined || (found && !found.isFile()))
    return Object.assign(async () => "", { path: undefined });
  const start = found?.size ?? 0;
  const said = async (): Promise<string> => {
    // A log that cannot be read says nothing; the deadline decides then.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined);
    if (file === undefined) return "";
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024), 0, 64 * 1024, start);
      return buffer.subarray(0, bytesRead).toString();
    } catch {
      return "";
    } finally {
      await file.close();
    }
  };
  return Object.assign(said, { path });
}
