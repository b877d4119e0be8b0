import { access } from "node:fs/promises";
import { deadline, monotonic, pause } from "../../../clock.ts";
import { hasCode } from "../../../durable.ts";
import { PortolanError } from "../../../errors.ts";
import type { HaproxyReload } from "../../target.ts";
import { readPidfile, sendSignal } from "../pidfile.ts";
import { environmentOf, statOf } from "../processes.ts";
import { ReloadError } from "../reloader.ts";
import { type Info, type Master, parseInfo, parseProc } from "./answers.ts";
import { askOnce } from "./cli.ts";
import { isHaproxy } from "./program.ts";

/** ms between two looks at what has become of a reload. */
const interval = 25;

/** ms after which a reload that has not begun is asked for again: 2.6 is deaf while it executes itself anew. */
const deaf = 500;
/** ms that a master may take to answer again after it has executed itself anew. */
const absent = 2_000;

/** What a hitless reload is told. */
export interface Restart {
  readonly reload: HaproxyReload;
  readonly destination: string;
  readonly timeout: number;
  /** The worker that serves now. */
  readonly worker: Info | undefined;
}

/**
 * A hitless reload: by the master's socket when it answers, else by SIGUSR2 to the process in the pidfile;
 * resolves when HAProxy serves the new file. Rejects with RELOAD_FAILED and ABORTED.
 */
export async function reloadWorkers(restart: Restart, signal: AbortSignal): Promise<void> {
  const { reload, destination, timeout } = restart;
  const limit = deadline(timeout, signal);
  try {
    if (reload.master !== undefined) {
      const master = await patientMasterOf(reload.master, limit);
      if (master !== undefined) return await byMaster(reload.master, master, destination, limit);
    }
    if (reload.pidfile !== undefined) return await byPidfile(reload.pidfile, restart, limit);
    const why =
      reload.master === undefined
        ? "it needs a reload, for which neither master nor pidfile is set"
        : `nobody answers at ${reload.master}, and no pidfile is set`;
    throw new ReloadError("none", `the reload of ${destination} failed: ${why}`);
  } catch (error) {
    if (error instanceof PortolanError) throw error;
    if (signal.aborted) throw new PortolanError("ABORTED", `the reload of ${destination} was cancelled`);
    const reason = limit.aborted
      ? `HAProxy did not start a new worker within ${timeout / 1000} s; its own log says why`
      : `HAProxy: ${error instanceof Error ? error.message : error}`;
    const cause = { cause: error };
    throw new ReloadError("open", `the reload of ${destination} failed: ${reason}`, cause);
  }
}

/** What the master says; undefined when nobody listens, or it may not be asked. */
export async function masterOf(path: string, signal: AbortSignal): Promise<Master | undefined> {
  return parseProc(await askQuietly(path, "show proc", signal));
}

/** The same, for a master that runs: its socket is there, and it may be about to answer. */
async function patientMasterOf(path: string, signal: AbortSignal): Promise<Master | undefined> {
  const last = monotonic() + absent;
  for (;;) {
    const master = await masterOf(path, signal);
    if (master !== undefined || monotonic() > last || !(await exists(path))) return master;
    await rest(signal);
  }
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/** The worker that answers; undefined when none does. */
export async function workerOf(path: string, signal: AbortSignal): Promise<Info | undefined> {
  return parseInfo(await askQuietly(path, "show info", signal));
}

async function askQuietly(path: string, command: string, signal: AbortSignal): Promise<string> {
  try {
    return await askOnce(path, command, signal);
  } catch (error) {
    if (hasCode(error, "ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE", "EAGAIN")) return "";
    throw error;
  }
}

async function byMaster(
  path: string,
  before: Master,
  destination: string,
  limit: AbortSignal,
): Promise<void> {
  for (let asked = Number.NEGATIVE_INFINITY; ; await rest(limit)) {
    const now = await masterOf(path, limit);
    // Until the outcome is clear, nobody answers.
    if (now !== undefined && now.reloads > before.reloads) {
      if (now.failed === 0) return;
      throw refused(destination, "; its own log says why");
    }
    if (now === undefined || monotonic() - asked < deaf) continue;
    asked = monotonic();
    const answer = await askOnce(path, "reload", limit);
    // Since 2.7 the answer comes when it is done; 2.6 says nothing.
    const [verdict = "", ...words] = answer.split("\n");
    if (verdict === "Success=1") return;
    if (verdict === "Success=0") {
      const said = words.filter((line) => line !== "--").join("\n");
      throw refused(destination, said === "" ? "" : `:\n${said.trim().slice(-8192)}`);
    }
    if (answer !== "") throw refused(destination, `: the master answered "${answer.slice(0, 500)}"`);
  }
}

async function byPidfile(
  pidfile: string,
  { reload, destination, worker }: Restart,
  limit: AbortSignal,
): Promise<void> {
  const pid = await readPidfile("SIGUSR2", pidfile, async (found) => {
    const program = (await statOf(found))?.name;
    return program === undefined || isHaproxy(program) ? undefined : `is no HAProxy but ${program}`;
  });
  if (pid === worker?.pid) {
    const reason = "is no master: SIGUSR2 would end it; start HAProxy with -W or master-worker";
    throw new ReloadError(
      "none",
      `the reload of ${destination} failed: process ${pid} in ${pidfile} ${reason}`,
    );
  }
  const start = monotonic();
  let before = await countsOf(pid);
  while (before === undefined && monotonic() - start < deaf) {
    await rest(limit);
    before = await countsOf(pid);
  }
  sendSignal("SIGUSR2", pid, pidfile);
  for (let sent = monotonic(); ; await rest(limit)) {
    const counts = await countsOf(pid);
    if (before !== undefined && counts !== undefined && counts.reloads > before.reloads) {
      if (counts.failed === 0) return;
      throw refused(destination, "; its own log says why");
    }
    const now = await workerOf(reload.socket, limit);
    if (worker !== undefined && now !== undefined && now.pid !== worker.pid) return;
    if (counts === undefined || counts.reloads !== before?.reloads || monotonic() - sent < deaf) continue;
    sendSignal("SIGUSR2", pid, pidfile);
    sent = monotonic();
  }
}

/**
 * The counters of a master up to 3.0, which hands them to itself in its environment; undefined while it reads
 * its configuration, and where that cannot be seen.
 */
async function countsOf(pid: number): Promise<Pick<Master, "reloads" | "failed"> | undefined> {
  const environment = await environmentOf(pid);
  if (environment.get("HAPROXY_MWORKER_WAIT_ONLY") !== "1") return undefined;
  const master = /\|type=m;[^|]*?reloads=(?<reloads>\d+);failedreloads=(?<failed>\d+)/.exec(
    environment.get("HAPROXY_PROCESSES") ?? "",
  )?.groups;
  return master && { reloads: Number(master.reloads), failed: Number(master.failed) };
}

async function rest(limit: AbortSignal): Promise<void> {
  await pause(interval, limit);
  limit.throwIfAborted();
}

function refused(destination: string, words: string): ReloadError {
  const reason = `HAProxy refused it and goes on with what it had${words}`;
  return new ReloadError("before", `the reload of ${destination} failed: ${reason}`);
}
