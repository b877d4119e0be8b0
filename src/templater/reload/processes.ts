import { readFile } from "node:fs/promises";

/** A process as /proc shows it. */
export interface Process {
  readonly pid: number;
  /** Its command line, or the title that it has given itself. */
  readonly title: string;
}

/** The children of a process; none when it is gone or another user's. */
export async function childrenOf(pid: number): Promise<readonly Process[]> {
  const pids = (await read(`/proc/${pid}/task/${pid}/children`)).split(" ").filter((word) => word !== "");
  const found = await Promise.all(
    pids.map(async (child) => ({ pid: Number(child), title: await titleOf(Number(child)) })),
  );
  return found.filter(({ title }) => title !== "");
}

/** The title of a process; empty for a zombie and when there is none. */
export async function titleOf(pid: number): Promise<string> {
  return (await read(`/proc/${pid}/cmdline`)).replaceAll("\0", " ").trim();
}

/** What the kernel says of a process. */
export interface Stat {
  /** The name of its program, cut to 15 characters. */
  readonly name: string;
  readonly parent: number;
  /** When it was started, in s since boot. */
  readonly started: number;
}

/** Reads /proc/PID/stat; undefined when there is no such process, or it may not be seen. See proc(5). */
export async function statOf(pid: number): Promise<Stat | undefined> {
  // The name stands in parentheses and may hold spaces.
  const [, name, rest = ""] = /^\d+ \((.*)\) (.*)$/s.exec(await read(`/proc/${pid}/stat`)) ?? [];
  if (name === undefined) return undefined;
  const fields = rest.split(" ");
  return { name, parent: Number(fields[1]), started: Number(fields[19]) / 100 };
}

/**
 * When a process was started, in ms of the wall clock as it goes now: a step of that clock moves it, and it may
 * be a second off. Undefined when that cannot be seen.
 */
export async function wallStartOf(pid: number): Promise<number | undefined> {
  const boot = /^btime (?<seconds>\d+)$/m.exec(await read("/proc/stat"))?.groups?.seconds;
  const stat = await statOf(pid);
  return stat && boot !== undefined ? (Number(boot) + stat.started) * 1000 : undefined;
}

/** The variables that a process was started with, or has last executed itself with. */
export async function environmentOf(pid: number): Promise<ReadonlyMap<string, string>> {
  const words = (await read(`/proc/${pid}/environ`)).split("\0");
  return new Map(words.map((word) => [word.replace(/=.*$/s, ""), word.replace(/^[^=]*=?/, "")]));
}

async function read(path: string): Promise<string> {
  return readFile(path, "latin1").catch(() => "");
}
