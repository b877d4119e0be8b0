import { randomBytes } from "node:crypto";
import { readFile } from "node:fs";
import {
  access,
  constants,
  link,
  mkdir,
  open,
  readdir,
  rename,
  stat,
  statfs,
  unlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { PortolanError } from "../../errors.ts";
import { encodeSegment, type InstanceRef } from "../../instance.ts";

/** Where things lie in the folder of a file backend. */
export interface FileLayout {
  readonly services: string;
  readonly nodes: string;
  record(ref: InstanceRef): string;
  node(name: string): string;
}

/** The paths below a folder. */
export function fileLayout(dir: string): FileLayout {
  const [services, nodes] = [join(dir, "services"), join(dir, "nodes")];
  return {
    services,
    nodes,
    record: (ref) => join(services, encodeSegment(ref.service), `${encodeSegment(ref.id)}.json`),
    node: (name) => join(nodes, encodeSegment(name)),
  };
}

/** Who holds a node, as its file says. `beat` is a counter; that it changes is all that matters. */
export interface NodeFile {
  readonly owner: string;
  readonly run: string;
  /** Seconds without another beat after which the owner is dead; 0: nobody ever takes it for dead. */
  readonly ttl: number;
  readonly beat: number;
  /** The owner whose records it has taken over: they count as its own until each says so. */
  readonly inherits?: string;
}

/** Reads the text of a node file; undefined when it is not one. */
export function decodeNode(text: string): NodeFile | undefined {
  try {
    const { owner, run, ttl, beat, inherits } = JSON.parse(text) as Record<string, unknown>;
    const valid =
      typeof owner === "string" &&
      typeof run === "string" &&
      typeof ttl === "number" &&
      typeof beat === "number";
    return valid ? { owner, run, ttl, beat, ...(typeof inherits === "string" && { inherits }) } : undefined;
  } catch {
    return undefined;
  }
}

/** A counter's first value: with as many digits as its last one, a beat never changes its file's length. */
export const firstBeat = 1_000_000_000;

/** Makes the folder and those above it, readable for everybody. */
export async function makeFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o755 });
}

/** The one of node:fs/promises takes twice the processor time, which counts where there are thousands. */
const readWhole = promisify(readFile);

/** The text of a file, undefined when there is none. */
export function readText(path: string): Promise<string | undefined> {
  return absentIsUndefined(readWhole(path, "utf8"));
}

/** The names in a folder without temporary files; undefined when there is no folder. */
export async function listFolder(dir: string): Promise<readonly string[] | undefined> {
  const names = await absentIsUndefined(readdir(dir));
  return names?.filter((name) => !name.startsWith("."));
}

/** A text that is equal as long as nothing was written, undefined when there is nothing at the path. */
export async function fingerprint(path: string): Promise<string | undefined> {
  const stats = await absentIsUndefined(stat(path, { bigint: true }));
  return stats && `${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}

/**
 * Writes the beginning of a file in place, whose `change` of the text has the same length, where there is one. One
 * that somebody removed is not made again. Answers the text before, undefined where there was no file.
 */
export async function rewrite(
  path: string,
  change: (text: string) => string | undefined,
): Promise<string | undefined> {
  const file = await absentIsUndefined(open(path, "r+"));
  if (!file) return undefined;
  try {
    const text = await file.readFile("utf8");
    const next = change(text);
    if (next !== undefined) await file.write(next, 0);
    return text;
  } finally {
    await file.close();
  }
}

/** Removes a file; an absent one is fine. */
export async function remove(path: string): Promise<void> {
  await absentIsUndefined(unlink(path));
}

/** The beginning of the names of a node's temporary files. No encoded segment holds a comma. */
export function temporaryPrefix(node: string): string {
  return `.tmp,${encodeSegment(node)},`;
}

/**
 * Puts a whole file in place, so that nobody ever reads half of it. `how` "create" leaves a file alone that is
 * there already and answers false. There is no fsync: what a power cut takes, the owner registers again.
 */
export async function putFile(
  path: string,
  text: string,
  node: string,
  how: "create" | "replace",
): Promise<boolean> {
  const temporary = join(dirname(path), `${temporaryPrefix(node)}${randomBytes(6).toString("hex")}`);
  try {
    await writeFile(temporary, text, { flag: "wx", mode: 0o644 });
    if (how === "replace") {
      await rename(temporary, path);
      return true;
    }
    try {
      await link(temporary, path);
      return true;
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      throw error;
    } finally {
      await remove(temporary);
    }
  } catch (error) {
    await remove(temporary).catch(() => {});
    throw error;
  }
}

/** Why nothing can be written in a folder, whoever writes; undefined where something can. */
export async function unwritable(dir: string): Promise<string | undefined> {
  const readOnly = await access(dir, constants.W_OK).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "EROFS",
  );
  if (readOnly) return `${dir} is on a read-only file system`;
  const { bavail, blocks } = await statfs(dir);
  return blocks > 0 && bavail === 0 ? `the disk of ${dir} is full` : undefined;
}

/** `work` on every item, on a few at a time: all at once could take more files than a process may open. */
export async function onEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

/** A failed file operation as an error of the backend. */
export function fileError(title: string, error: unknown): PortolanError {
  if (error instanceof PortolanError) return error;
  const denied = ["EACCES", "EPERM", "EROFS"].includes(codeOf(error) ?? "");
  const message = error instanceof Error ? error.message : String(error);
  return new PortolanError(denied ? "BACKEND_DENIED" : "BACKEND_UNREACHABLE", `${title}: ${message}`, {
    cause: error,
  });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** A stray folder where a file should be, or the other way round, counts as nothing of that name. */
async function absentIsUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "EISDIR"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}
