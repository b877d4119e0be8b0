import type { BigIntStats } from "node:fs";
import { lstat, readFile, readlink, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { hasCode } from "../durable.ts";
import { PortolanError } from "../errors.ts";

/** The file that a destination names, as it is now. */
export interface Live {
  /** Where the file itself is, after all symbolic links. */
  readonly path: string;
  /** Undefined when there is none yet. */
  readonly file: LiveFile | undefined;
}

/** What an existing file holds, and who may do what with it. */
export interface LiveFile {
  readonly bytes: Buffer;
  readonly mode: number;
  readonly owner: { readonly uid: number; readonly gid: number };
}

/** Where a destination leads, and how the file there stands. */
export interface Place {
  /** Where the file itself is, after all symbolic links. */
  readonly path: string;
  /** Undefined when there is none yet. */
  readonly found: BigIntStats | undefined;
}

/** Finds out where a destination leads. Rejects with DESTINATION when no file can be there. */
export async function placeOf(destination: string): Promise<Place> {
  try {
    const left = remembered.has(destination) ? await standing(destination, lstat) : undefined;
    if (left && isAsLeft(destination, left)) return { path: destination, found: left };
    const [path, found] = await Promise.all([followLinks(destination), standing(destination)]);
    if (found === undefined || found.isFile()) return { path, found };
    const kind = found.isDirectory() ? "is a folder" : "is not a regular file";
    throw new PortolanError("DESTINATION", `${destination} ${kind}; set destination to the path of a file`);
  } catch (error) {
    throw destinationError(destination, error);
  }
}

/**
 * Reads the live file. With `wanted`, bytes that are remembered count for the file's own where it stands as it was
 * left (`remember`), unless they are the wanted ones: that these are live is said by the file alone. Rejects with
 * DESTINATION when it cannot be read.
 */
export async function readLive(
  destination: string,
  place: Promise<Place> = placeOf(destination),
  wanted?: Uint8Array,
): Promise<Live> {
  const { path, found } = await place;
  if (found === undefined) return { path, file: undefined };
  const last = remembered.get(path);
  const isKnown = wanted && last && isAsLeft(path, found) && !last.bytes.equals(wanted);
  try {
    return { path, file: fileOf(isKnown ? last.bytes : await readFile(path), found) };
  } catch (error) {
    throw destinationError(destination, error);
  }
}

function fileOf(bytes: Buffer, { mode, uid, gid }: BigIntStats): LiveFile {
  return { bytes, mode: Number(mode) & 0o7777, owner: { uid: Number(uid), gid: Number(gid) } };
}

/** The file as this process has left it, when that is remembered and it held something else than what is `wanted`. */
export function leftOf(destination: string, wanted: Uint8Array): Live | undefined {
  const last = remembered.get(destination);
  if (last === undefined || last.bytes.equals(wanted)) return undefined;
  return { path: destination, file: fileOf(last.bytes, last.found) };
}

/** Whether it still stands as it was left. Never rejects. */
export async function stands({ path }: Live): Promise<boolean> {
  const found = await standing(path, lstat).catch(() => undefined);
  return found !== undefined && isAsLeft(path, found);
}

/** What this process has left in files, by their paths, and how the files stood then. */
const remembered = new Map<string, { readonly bytes: Buffer; readonly found: BigIntStats }>();

/** Larger ones are read again: next to rendering them that takes no time. */
const largestRemembered = 1024 * 1024;

/** There is no file any more. */
export function forget(path: string): void {
  remembered.delete(path);
}

/** The file holds these bytes now. Never rejects. */
export async function remember(path: string, bytes: Buffer): Promise<void> {
  remembered.delete(path);
  if (bytes.length > largestRemembered) return;
  const found = await standing(path).catch(() => undefined);
  if (found) remembered.set(path, { bytes, found });
}

/**
 * Whether what is found at a path is the very file that this process has left there, and nobody has touched it since.
 * It then lies in the folder that it lay in: moving a file, or giving it another name, changes its times.
 */
function isAsLeft(path: string, found: BigIntStats): boolean {
  const left = remembered.get(path)?.found;
  return left !== undefined && print.every((field) => left[field] === found[field]);
}

/** A file that was written, replaced or given another access since differs in one of these. */
const print = ["dev", "ino", "size", "mtimeNs", "ctimeNs"] as const;

/** Undefined when there is no such file. */
async function standing(path: string, look = stat): Promise<BigIntStats | undefined> {
  try {
    return await look(path, { bigint: true });
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** The real path, also when the file, or the one that a link points to, does not exist yet. */
async function followLinks(path: string, most = 40): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
    const link = await readlink(path).catch(() => undefined);
    if (link !== undefined && most > 0) return followLinks(resolve(dirname(path), link), most - 1);
    return join(await realpath(dirname(path)).catch(() => dirname(path)), basename(path));
  }
}

/** What can be done about the system's errors, for a file in `folder`. */
const waysOut: Readonly<Record<string, (folder: string) => string>> = {
  ENOENT: (folder) => `folder ${folder} does not exist; create it, or correct destination`,
  ENOTDIR: (folder) => `${folder} is not a folder; correct destination`,
  EACCES: (folder) => `this user may not write in ${folder}; give it the right, or run as another user`,
  EPERM: () => "this user may not set the file's owner or mode; run as root, or as the file's owner",
  EROFS: (folder) =>
    `${folder} is on a read-only file system; mount it writable (the folder, not only the file)`,
  ENOSPC: (folder) => `no space left on the disk that holds ${folder}; free some`,
  EDQUOT: (folder) => `the quota on the disk that holds ${folder} is used up; free some`,
  ELOOP: () => "its symbolic links run in a circle; correct them",
};

/** The DESTINATION error for what went wrong; one that has a code already stays as it is. */
export function destinationError(destination: string, error: unknown, path = destination): PortolanError {
  if (error instanceof PortolanError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = error instanceof Error ? error.message : String(error);
  const wayOut = waysOut[code]?.(dirname(path)) ?? reason;
  return new PortolanError("DESTINATION", `${destination} was not written: ${wayOut}`, { cause: error });
}
