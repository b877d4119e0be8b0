import { open } from "node:fs/promises";
import { hasCode, renameFile } from "../durable.ts";
import { destinationError, type Live } from "./destination.ts";
import type { Target } from "./target.ts";

/**
 * Puts the staged file in the place of the live one: whoever reads sees the old or the new, whole. A single
 * file that is mounted cannot be replaced and is written in place; `inPlace` is called then. Rejects with
 * DESTINATION, the old file being whole.
 */
export async function swap(
  staged: string,
  bytes: Uint8Array,
  target: Target,
  live: Live,
  inPlace: () => void,
): Promise<void> {
  try {
    await renameFile(staged, live.path).catch(async (error) => {
      if (!live.file || !hasCode(error, "EBUSY", "EXDEV")) throw error;
      inPlace();
      await writeInPlace(live.path, bytes, live.file.bytes, target.mode);
    });
  } catch (error) {
    throw destinationError(target.destination, error, live.path);
  }
}

/** Overwrites a file. If that fails half-way, the old bytes are put back; a crash may leave it torn. */
async function writeInPlace(path: string, bytes: Uint8Array, old: Uint8Array, mode?: number): Promise<void> {
  const file = await open(path, "r+");
  const overwrite = async (content: Uint8Array) => {
    let at = 0;
    while (at < content.length) at += (await file.write(content, at, content.length - at, at)).bytesWritten;
    await file.truncate(content.length);
    await file.sync();
  };
  try {
    if (mode !== undefined) await file.chmod(mode);
    await overwrite(bytes).catch(async (error) => {
      await overwrite(old);
      throw error;
    });
  } finally {
    await file.close();
  }
}
