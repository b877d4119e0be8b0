import { link, mkdir, readdir, readFile, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { identity, identityPattern, isAlive, pidOf } from "./alive.ts";
import { createFile, hasCode, renameFile } from "./durable.ts";
import { PortolanError } from "./errors.ts";

/** The folder where a process keeps what it must know after a restart. Names are plain file names. */
export interface StateDir {
  readonly path: string;
  /** The text written last under this name; undefined when there is none. */
  read(name: string): Promise<string | undefined>;
  /**
   * Replaces a text as a whole: a crash leaves the old or the new one. Writes of one name are to be made one
   * after the other.
   */
  write(name: string, text: string): Promise<void>;
  /** Waits for the writes in hand and gives the folder free. Nothing can be written afterwards. Again: nothing. */
  close(): Promise<void>;
}

/**
 * Opens a state folder, creates it if need be (0700), and locks it until `close` or the end of the process.
 * Rejects with STATE_LOCKED while another process has it, and with FAILED when it cannot be used.
 */
export async function openStateDir(path: string): Promise<StateDir> {
  const me = identity() ?? String(process.pid);
  const unlock = await usable(path, async () => {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const release = await lock(path, me);
    await removeLeftovers(path);
    return release;
  });
  const writing = new Set<Promise<void>>();
  let closed: Promise<void> | undefined;
  let count = 0;

  const replace = async (name: string, text: string) => {
    count += 1;
    const staged = join(path, `.${name}.${me}.${count}`);
    await createFile(staged, text, { mode: 0o600 });
    await renameFile(staged, join(path, name));
  };

  return {
    path,
    read: (name) => usable(path, () => readIfThere(join(path, name))),
    async write(name, text) {
      if (closed)
        throw new PortolanError("FAILED", `${join(path, name)} was not written: its folder is closed`);
      const write = usable(path, () => replace(name, text));
      writing.add(write);
      await write.finally(() => writing.delete(write));
    },
    close() {
      closed ??= Promise.allSettled(writing).then(() => usable(path, unlock));
      return closed;
    },
  };
}

/** The pid of the process that holds a state folder now; undefined when none does. Writes nothing. */
export async function readHolder(path: string): Promise<number | undefined> {
  const numbers = await usable(path, () => lockNumbers(path).catch(ifThere));
  const [highest] = numbers ?? [];
  const holder = highest === undefined ? undefined : await readNote(path, `lock.${highest}`);
  return holder !== undefined && isAlive(holder) ? pidOf(holder) : undefined;
}

/** What stands under a name in a state folder that another process may hold; undefined when there is nothing. */
export function readNote(path: string, name: string): Promise<string | undefined> {
  return usable(path, () => readIfThere(join(path, name)));
}

/**
 * Takes the lock and returns what releases it.
 *
 * The lock is the file `lock.N` with the highest N; it names its holder, and is empty once released. Whoever
 * finds it released or its holder dead creates `lock.N+1`, which only one process can. The highest file is
 * never removed, so a process that looked long ago and creates a number that was in use in between finds a
 * higher one and gives way. A lock that is removed and created anew under one name has no such answer.
 */
async function lock(folder: string, me: string): Promise<() => Promise<void>> {
  const file = (number: number) => join(folder, `lock.${number}`);
  const draft = join(folder, `.lock.${me}.${Math.random().toString(36).slice(2)}`);
  await createFile(draft, me, { mode: 0o600 });
  try {
    for (;;) {
      const [highest = 0] = await lockNumbers(folder);
      const holder = highest === 0 ? "" : await readIfThere(file(highest));
      if (holder === undefined) continue;
      if (isAlive(holder)) {
        throw new PortolanError(
          "STATE_LOCKED",
          `state folder ${folder} is in use by process ${pidOf(holder)}: end that one, or set another --state-dir`,
        );
      }
      const mine = highest + 1;
      try {
        // Unlike an open, a link appears together with its content.
        await link(draft, file(mine));
      } catch (error) {
        if (hasCode(error, "EEXIST")) continue;
        throw error;
      }
      const [now = 0, ...older] = await lockNumbers(folder);
      if (now === mine) {
        for (const number of older) await rm(file(number), { force: true });
        return () => truncate(file(mine)).catch(ifThere);
      }
      await rm(file(mine), { force: true });
    }
  } finally {
    await rm(draft, { force: true });
  }
}

/** The numbers of all lock files, the highest first. */
async function lockNumbers(folder: string): Promise<readonly number[]> {
  const numbers = (await readdir(folder)).flatMap(
    (name) => /^lock\.(?<number>\d+)$/.exec(name)?.groups?.number ?? [],
  );
  return numbers.map(Number).sort((a, b) => b - a);
}

/** Drafts of processes that died while they wrote. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const writer = name.startsWith(".") ? identityPattern.exec(name)?.[0] : undefined;
    if (writer !== undefined && !isAlive(writer)) await rm(join(folder, name), { force: true });
  }
}

const readIfThere = (path: string): Promise<string | undefined> => readFile(path, "utf8").catch(ifThere);

/** Takes a file that is not there for nothing. */
function ifThere(error: unknown): undefined {
  if (!hasCode(error, "ENOENT")) throw error;
}

async function usable<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PortolanError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const wayOut = "make it writable for this user, or set another --state-dir";
    throw new PortolanError("FAILED", `state folder ${path} cannot be used: ${reason}; ${wayOut}`, {
      cause: error,
    });
  }
}
