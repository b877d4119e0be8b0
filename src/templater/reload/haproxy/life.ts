import { readFile } from "node:fs/promises";
import { monotonic } from "../../../clock.ts";
import type { HaproxyReload } from "../../target.ts";
import { parsePid } from "../pidfile.ts";
import { statOf } from "../processes.ts";
import type { Info } from "./answers.ts";
import { isHaproxy } from "./program.ts";
import { masterOf } from "./restart.ts";

/** Whether a HAProxy whose `stats socket` is silent runs all the same. */
export async function isRunning(reload: HaproxyReload, signal: AbortSignal): Promise<boolean> {
  if (reload.master !== undefined && (await masterOf(reload.master, signal)) !== undefined) return true;
  if (reload.pidfile === undefined) return false;
  const pid = parsePid(await readFile(reload.pidfile, "utf8").catch(() => ""));
  return pid !== undefined && isHaproxy((await statOf(pid))?.name);
}

/**
 * When a worker's HAProxy was started, on the monotonic clock in ms; never too late. Where the worker can be
 * seen it is its master's start, because the master reads the file before it forks; elsewhere the worker's own,
 * as its whole seconds tell.
 */
export async function startedAt({ pid, uptime }: Info): Promise<number> {
  const now = monotonic();
  const guess = now - (uptime + 1) * 1000;
  const worker = await statOf(pid);
  if (worker === undefined || !isHaproxy(worker.name)) return guess;
  const parent = await statOf(worker.parent);
  const first = parent && isHaproxy(parent.name) ? parent : worker;
  const [up] = (await readFile("/proc/uptime", "utf8")).split(" ");
  // Both are hundredths of a second since boot, cut off: what was cut off from now must not make it later.
  return now - (Number(up) - first.started) * 1000 - 10;
}
