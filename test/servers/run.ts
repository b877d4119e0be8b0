// What one test process owns on the machine, and how a later run sees that the owner is gone.
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * The folder where all test runs of this machine keep their claims and temporary files.
 * `PORTOLAN_TEST_STATE` moves it. Kept short, because Unix socket paths end at 107 bytes.
 */
export const stateDir: string =
  process.env.PORTOLAN_TEST_STATE ??
  join(tmpdir(), isRoot() ? "portolan-tests" : `portolan-tests-${process.getuid?.()}`);

/** Whether this process may install packages and make network namespaces. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/** @throws an error saying that only root can do `what` */
export function needRoot(what: string): void {
  if (!isRoot()) throw new Error(`only root can ${what}: run this as root`);
}

/** A folder below `stateDir`, made when it is not there yet. */
export function stateFolder(name: "processes" | "ports" | "networks" | "tmp"): string {
  const folder = join(stateDir, name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/**
 * When a process started, in clock ticks since boot (field 22 of /proc/PID/stat); undefined when there is no
 * such process or only its zombie. With the pid it names a process for ever, although pids are used again.
 */
export function startTime(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The command name, in parentheses, may hold spaces and parentheses itself.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return state === "Z" || state === "X" ? undefined : fields[18];
}

/** This process, as `PID-STARTTIME`: written into every claim it makes. */
export const owner: string = `${process.pid}-${startTime(process.pid) ?? "0"}`;

/** Whether the process that an `owner` string names still runs. */
export function isAlive(of: string): boolean {
  const [pid, start] = of.split("-");
  return start !== undefined && startTime(Number(pid)) === start;
}

const farewells = new Set<() => void>();

/**
 * Runs `farewell` when this process (or worker thread) ends, the last one first; returns a function that takes
 * it back. Only synchronous work is done at that point.
 */
export function atExit(farewell: () => void): () => void {
  if (!process.listeners("exit").includes(sayFarewells)) process.on("exit", sayFarewells);
  farewells.add(farewell);
  return () => void farewells.delete(farewell);
}

function sayFarewells(): void {
  for (const farewell of [...farewells].reverse()) {
    try {
      farewell();
    } catch {
      // The others still have their turn; what stays behind is found by the next run.
    }
  }
  farewells.clear();
}

/** A new private folder, removed when this process ends; a crashed run's folders are removed by the next run. */
export function tempDir(name: string): string {
  const dir = mkdtempSync(join(stateFolder("tmp"), `${owner}.${name}-`));
  atExit(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
