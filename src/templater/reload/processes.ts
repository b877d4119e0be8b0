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

/** The variables that a process was started with, or has last executed itself with. */
export async function environmentOf(pid: number): Promise<ReadonlyMap<string, string>> {
  const words = (await read(`/proc/${pid}/environ`)).split("\0");
  return new Map(words.map((word) => [word.replace(/=.*$/s, ""), word.replace(/^[^=]*=?/, "")]));
}

async function read(path: string): Promise<string> {
  return readFile(path, "latin1").catch(() => "");
}
