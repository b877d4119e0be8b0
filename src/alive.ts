import { readFileSync } from "node:fs";

/**
 * Names a process for ever: boot, pid and start time, e.g. `1a2b3c4d-812-90311`, fit for a file name. A pid
 * alone is used again, and in containers it mostly is 1. Undefined when there is no such process, or only its
 * zombie. Pids are those of this process's own namespace.
 */
export function identity(pid: number = process.pid): string | undefined {
  if (pid !== process.pid) return identityOf(pid);
  own ??= identityOf(pid);
  return own;
}

/** This process's, which is asked for with every file that is written. */
let own: string | undefined;

function identityOf(pid: number): string | undefined {
  const boot = read("/proc/sys/kernel/random/boot_id");
  if (boot === undefined) return runs(pid) ? `00000000-${pid}-0` : undefined;
  // Its first thread's: of a whole process an emulator of another processor tells times of its own.
  const stat = read(`/proc/${pid}/task/${pid}/stat`);
  // The command's name stands in parentheses and may hold spaces and parentheses itself. See proc(5).
  const [state, ...fields] = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? [];
  if (state === undefined || state === "Z" || state === "X") return undefined;
  return `${boot.slice(0, 8)}-${pid}-${fields[18] ?? "0"}`;
}

/** What an identity looks like, to find one in a file name. */
export const identityPattern = /[0-9a-f]{8}-(?<pid>\d+)-\d+/;

/** The pid in an identity; undefined when the text is none. */
export function pidOf(text: string): number | undefined {
  const pid = identityPattern.exec(text)?.groups?.pid;
  return pid === undefined ? undefined : Number(pid);
}

/** Whether the process that an identity names still runs. */
export function isAlive(text: string): boolean {
  const pid = pidOf(text);
  return pid !== undefined && identity(pid) === text;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined;
  }
}

/** Where there is no /proc. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
