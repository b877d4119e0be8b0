import { close, constants, fchmod, fchown, fstat, fsync, open as openFile, write } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";

/** Who may do what with a file. Without an owner it belongs to this process's user. */
export interface Access {
  readonly mode: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** A file that was created, and is open and empty. */
export interface NewFile {
  /** Brings bytes to the disk, to be called once. Nobody sees one byte who may not in the end. */
  fill(bytes: Uint8Array, access: Access): Promise<void>;
  /** To be called once. */
  close(): Promise<void>;
}

/**
 * Creates a file that must not exist, and brings its bytes to the disk. Nobody sees one byte who may not in the end.
 * When it rejects, there is no file; the error is Node's own, with its `code`.
 */
export async function createFile(path: string, bytes: string | Uint8Array, access: Access): Promise<void> {
  const file = await openNew(path, access.mode);
  try {
    await file.fill(typeof bytes === "string" ? Buffer.from(bytes) : bytes, access);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** A write ends when it is on the disk, as a write and a sync do that are two calls. */
const brandNew = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_SYNC;

/** Plain descriptors: making a `FileHandle` takes as long as opening the file. */
const calls = {
  open: promisify(openFile),
  write: promisify(write),
  stat: promisify(fstat),
  chmod: promisify(fchmod),
  chown: promisify(fchown),
  sync: promisify(fsync),
  close: promisify(close),
};

/** Creates a file that must not exist and that is to have this mode. Rejects with Node's own error. */
export async function openNew(path: string, mode: number): Promise<NewFile> {
  const file = await calls.open(path, brandNew, atOnce(mode));
  return {
    async fill(bytes, access) {
      const writing = writeAll(file, bytes);
      const allowing = allow(file, access);
      // Both have ended before it is closed.
      await Promise.allSettled([writing, allowing]);
      await writing;
      // Without a byte nothing was written, and so nothing is on the disk.
      if ((await allowing) || bytes.length === 0) await calls.sync(file);
    },
    close: () => calls.close(file),
  };
}

async function writeAll(file: number, bytes: Uint8Array): Promise<void> {
  let at = 0;
  while (at < bytes.length) at += (await calls.write(file, bytes, at)).bytesWritten;
}

/** What of a mode can be given before the owner is right: the owner's own, and what everybody else has. */
function atOnce(mode: number): number {
  const everybody = mode & (mode >> 3) & 0o7;
  return (mode & 0o700) | (everybody << 3) | everybody;
}

/** Sees to it that owner and mode are as they should be. True when they were not. */
async function allow(file: number, { mode, owner }: Access): Promise<boolean> {
  const made = await calls.stat(file);
  const isMoved = owner !== undefined && (owner.uid !== made.uid || owner.gid !== made.gid);
  if (isMoved) await calls.chown(file, owner.uid, owner.gid);
  // A change of owner takes the bits for set-id away.
  if (!isMoved && (made.mode & 0o7777) === mode) return false;
  await calls.chmod(file, mode);
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
