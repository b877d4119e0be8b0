import { appendFile, readFile, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { wallTime } from "../clock.ts";
import { hasCode } from "../durable.ts";
import { coded } from "../errors.ts";
import type { StateDir } from "../state-dir.ts";

/** What became of one change: it is what a person asks for afterwards. */
export interface Verdict {
  /** The destinations, in the order of the configuration. */
  readonly targets: readonly string[];
  /** What it was done for, a few words each: `service web`, `start`, `templates read again`, `rollback`. */
  readonly cause: readonly string[];
  /**
   * applied: new bytes are live and accepted. reloaded: they were live already, and are accepted now. owed: they are
   * live, and the proxy has still to take them. unchanged: the texts are what they were. rejected: the files are
   * what they were before. held: a guard keeps them as they are.
   */
  readonly verdict: "applied" | "reloaded" | "owed" | "unchanged" | "rejected" | "held";
  /** How the proxy took it: reload, runtime or start. */
  readonly by?: string | undefined;
  /** Why it was a reload and what is held back, or why it was rejected, owed or held. */
  readonly why?: string | undefined;
  /** The files whose bytes have changed. */
  readonly files: readonly FileChange[];
  /** The files that a check has refused, as they would have changed; absent when there are none. */
  readonly refused?: readonly FileChange[] | undefined;
  /** ms that each step took. */
  readonly tookMs: Readonly<Record<string, number>>;
}

/** A file that was swapped. */
export interface FileChange {
  readonly destination: string;
  /** SHA-256 (hex) of the bytes before; null when there was no file. */
  readonly before: string | null;
  /** The same of the bytes after; null when the file was removed. */
  readonly after: string | null;
  /** A unified diff; absent where the files are too different to be of use. */
  readonly diff?: string | undefined;
}

/** A verdict as the journal holds it. */
export interface Entry extends Verdict {
  /** Counts up by one. */
  readonly number: number;
  /** When it was written, RFC 3339 in UTC. */
  readonly at: string;
}

/** The last changes, kept over restarts, for people and for `portolan rollback`. */
export interface Journal {
  /** Adds an entry. Rejects with FAILED when the state folder cannot be written. */
  add(verdict: Verdict): Promise<Entry>;
  /** The last entries, the oldest first, those of earlier processes too. */
  recent(): readonly RecentEntry[];
}

/** An entry with the first of its files only. */
export interface RecentEntry extends Entry {
  /** How many files it has besides those. */
  readonly moreFiles: number;
}

const newest = "journal.jsonl";
const older = "journal.old.jsonl";

/** Bytes after which a new file is begun; the one before that is kept, and no other. */
const largest = 1024 * 1024;

/** Entries that are kept in memory, and the files of each. */
const mostRecent = 40;
const mostFiles = 12;

/** Opens the journal in a state folder. Rejects with FAILED. */
export async function openJournal({ path }: Pick<StateDir, "path">): Promise<Journal> {
  const entries = await readJournal(path);
  const recent = entries.slice(-mostRecent).map(shortened);
  let number = entries.at(-1)?.number ?? 0;
  let last: Promise<unknown> = Promise.resolve();
  const file = join(path, newest);

  const add = async (verdict: Verdict): Promise<Entry> => {
    const entry: Entry = { number: number + 1, at: wallTime(), ...verdict };
    try {
      const size = await stat(file).then(
        (found) => found.size,
        () => 0,
      );
      if (size > largest) await rename(file, join(path, older));
      // It begins with a line end, so that a line that was torn by a crash or a full disk harms no other.
      await appendFile(file, `\n${JSON.stringify(entry)}\n`, { mode: 0o600 });
    } catch (error) {
      throw coded("FAILED", error, `the journal in ${path} cannot be written: `);
    }
    number = entry.number;
    recent.push(shortened(entry));
    if (recent.length > mostRecent) recent.shift();
    return entry;
  };
  return {
    add(verdict) {
      const adding = last.then(() => add(verdict));
      last = adding.catch(() => {});
      return adding;
    },
    recent: () => recent,
  };
}

/** The entries in a state folder, the oldest first; none when it has no journal. Rejects with FAILED. */
export async function readJournal(path: string): Promise<readonly Entry[]> {
  const read = async (name: string) => {
    try {
      return await readFile(join(path, name), "utf8");
    } catch (error) {
      if (hasCode(error, "ENOENT")) return "";
      throw coded("FAILED", error, `the journal in ${path} cannot be read: `);
    }
  };
  // In this order: what is moved meanwhile is read once or twice, and never missed.
  const lines = [...(await read(newest)).split("\n")];
  lines.unshift(...(await read(older)).split("\n"));
  const entries = new Map<number, Entry>();
  for (const line of lines) {
    const entry = parse(line);
    if (entry) entries.set(entry.number, entry);
  }
  return [...entries.values()].sort((a, b) => a.number - b.number);
}

function parse(line: string): Entry | undefined {
  try {
    const entry = JSON.parse(line) as Partial<Entry> | null;
    return typeof entry?.number === "number" && Array.isArray(entry.files) ? (entry as Entry) : undefined;
  } catch {
    return undefined;
  }
}

function shortened(entry: Entry): RecentEntry {
  const { files, refused } = entry;
  const kept = files.slice(0, mostFiles);
  const moreFiles = files.length - kept.length + Math.max(0, (refused?.length ?? 0) - mostFiles);
  return { ...entry, files: kept, ...(refused && { refused: refused.slice(0, mostFiles) }), moreFiles };
}
