// The process table, read from /proc.
import { readdirSync, readFileSync } from "node:fs";

/** A process of now. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  /** Ended, and not yet reaped by its parent: it holds neither ports nor files. */
  readonly isZombie: boolean;
  /** Its arguments, each with a NUL after it. */
  readonly command: string;
}

/** Every process of this machine. */
export function listProcesses(): readonly ProcessEntry[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "latin1");
        // The command name, in parentheses, may hold spaces and parentheses itself.
        const [state = "", parent, group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        const command = readFileSync(`/proc/${name}/cmdline`, "utf8");
        return [
          {
            pid: Number(name),
            parent: Number(parent),
            group: Number(group),
            isZombie: /[ZX]/.test(state),
            command,
          },
        ];
      } catch {
        return []; // it ended meanwhile
      }
    });
}

/** Whether every thread of a process stands still (SIGSTOP reaches those on other processors a moment later). */
export function isStopped(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).every((task) => {
    const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, "latin1");
    return /^[TtZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  });
}

/** Waits, up to `within` ms, without a timer: for moments when the event loop must not turn, or does not any more. */
export function blockUntil(condition: () => boolean, within: number): void {
  const clock = new Int32Array(new SharedArrayBuffer(4));
  const end = performance.now() + within;
  while (performance.now() < end && !condition()) Atomics.wait(clock, 0, 0, 5);
}
