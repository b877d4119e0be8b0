import { readFile, readlink, realpath, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
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

/** Reads the live file. Rejects with DESTINATION when it is no regular file or cannot be read. */
export async function readLive(destination: string): Promise<Live> {
  try {
    const path = await followLinks(destination);
    const found = await stat(path).catch((error: unknown) => {
      if (hasCode(error, "ENOENT")) return undefined;
      throw error;
    });
    if (found === undefined) return { path, file: undefined };
    if (!found.isFile()) {
      const kind = found.isDirectory() ? "is a folder" : "is not a regular file";
      throw new PortolanError("DESTINATION", `${destination} ${kind}; set destination to the path of a file`);
    }
    const { mode, uid, gid } = found;
    return { path, file: { bytes: await readFile(path), mode: mode & 0o7777, owner: { uid, gid } } };
  } catch (error) {
    throw destinationError(destination, error);
  }
}

/** The real path, also when the file, or the one that a link points to, does not exist yet. */
async function followLinks(path: string, most = 40): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
    const link = await readlink(path).catch(() => undefined);
    return link === undefined || most === 0 ? path : followLinks(resolve(dirname(path), link), most - 1);
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
