import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Who may do what with a file. Without an owner it belongs to this process's user. */
export interface Access {
  readonly mode: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** A file that is open, and whose bytes are on the disk. */
export interface OpenFile {
  close(): Promise<void>;
}

/**
 * Creates a file that must not exist, and brings its bytes to the disk. Nobody sees one byte who may not in the end.
 * When it rejects, there is no file; the error is Node's own, with its `code`.
 */
export async function createFile(path: string, bytes: string | Uint8Array, access: Access): Promise<void> {
  const file = await createOpenFile(path, bytes, access);
  await file.close();
}

/** The same, but leaves it open: a close takes as long as a rename does. */
export async function createOpenFile(
  path: string,
  bytes: string | Uint8Array,
  access: Access,
): Promise<OpenFile> {
  const file = await open(path, "wx", atOnce(access.mode));
  try {
    await file.writeFile(bytes);
    const syncing = file.sync();
    const allowing = allow(file, access);
    // Both have ended before it is closed.
    await Promise.allSettled([syncing, allowing]);
    await syncing;
    if (await allowing) await file.sync();
    return file;
  } catch (error) {
    await rm(path, { force: true });
    await file.close();
    throw error;
  }
}

/** What of a mode can be given before the owner is right: the owner's own, and what everybody else has. */
function atOnce(mode: number): number {
  const everybody = mode & (mode >> 3) & 0o7;
  return (mode & 0o700) | (everybody << 3) | everybody;
}

/** Sees to it that owner and mode are as they should be. True when they were not. */
async function allow(file: FileHandle, { mode, owner }: Access): Promise<boolean> {
  const made = await file.stat();
  const isMoved = owner !== undefined && (owner.uid !== made.uid || owner.gid !== made.gid);
  if (isMoved) await file.chown(owner.uid, owner.gid);
  // A change of owner takes the bits for set-id away.
  if (!isMoved && (made.mode & 0o7777) === mode) return false;
  await file.chmod(mode);
  return true;
}

/** Renames within a folder. Once it resolves, the new name survives a power failure. */
export async function renameFile(from: string, to: string): Promise<void> {
  await rename(from, to);
  const folder = await open(dirname(to), "r");
  try {
    await folder.sync();
  } catch (error) {
    // Some file systems cannot; they order renames themselves.
    if (!hasCode(error, "EINVAL", "ENOTSUP")) throw error;
  } finally {
    await folder.close();
  }
}

/** Whether an error is one of the system's, with one of these codes (`ENOENT` …). */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
