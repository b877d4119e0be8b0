import { open } from "node:fs/promises";
import { hasCode, renameFile } from "../durable.ts";
import { destinationError, type Live } from "./destination.ts";
import { ownerOf } from "./owner.ts";
import type { Staged } from "./stage.ts";
import type { Target } from "./target.ts";

/**
 * Puts the staged file in the place of the live one: whoever reads sees the old or the new, whole. A single
 * file that is mounted cannot be replaced and is written in place; `inPlace` is called then. Rejects with
 * DESTINATION, the old file being whole.
 */
export async function swap(
  staged: Pick<Staged, "path" | "close">,
  bytes: Uint8Array,
  target: Target,
  live: Live,
  inPlace: () => void,
): Promise<void> {
  try {
    await renameStaged(staged, live.path).catch(async (error) => {
      if (!live.file || !hasCode(error, "EBUSY", "EXDEV")) throw error;
      inPlace();
      const owner = target.owner && (await ownerOf(target, live.file.owner));
      await overwrite(live.path, bytes, { old: live.file.bytes, mode: target.mode, owner });
    });
  } catch (error) {
    throw destinationError(target.destination, error, live.path);
  }
}

/** Some file systems rename no file that is open. */
async function renameStaged({ path, close }: Pick<Staged, "path" | "close">, to: string): Promise<void> {
  try {
    await renameFile(path, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall !== "rename") throw error;
    await close();
    await renameFile(path, to);
  }
}

/** What an overwritten file is to get besides its bytes, and the bytes that it had. */
interface Overwrite {
  readonly old?: Uint8Array;
  readonly mode?: number | undefined;
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined;
}

/** Writes into a file. If that fails half-way, the old bytes are put back; a crash may leave it torn. */
export async function overwrite(path: string, bytes: Uint8Array, how: Overwrite = {}): Promise<void> {
  const file = await open(path, "r+");
  const write = async (content: Uint8Array) => {
    let at = 0;
    while (at < content.length) at += (await file.write(content, at, content.length - at, at)).bytesWritten;
    await file.truncate(content.length);
    await file.sync();
  };
  try {
    if (how.owner !== undefined) await file.chown(how.owner.uid, how.owner.gid);
    if (how.mode !== undefined) await file.chmod(how.mode);
    await write(bytes).catch(async (error) => {
      if (how.old) await write(how.old);
      throw error;
    });
  } finally {
    await file.close();
  }
}
