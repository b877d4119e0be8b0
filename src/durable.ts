import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Who may do what with a file. Without an owner it belongs to this process's user. */
export interface Access {
  readonly mode: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * Creates a file that must not exist, and brings its bytes to the disk. Nobody else sees one byte before owner
 * and mode are set. When it rejects, there is no file; the error is Node's own, with its `code`.
 */
export async function createFile(path: string, bytes: string | Uint8Array, access: Access): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await Promise.all([allow(file, access), file.writeFile(bytes)]);
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

async function allow(file: FileHandle, { mode, owner }: Access): Promise<void> {
  const made = owner && (await file.stat());
  if (owner && (owner.uid !== made?.uid || owner.gid !== made.gid)) await file.chown(owner.uid, owner.gid);
  await file.chmod(mode);
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
