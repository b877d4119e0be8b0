import { chmod, chown } from "node:fs/promises";
import { destinationError } from "./destination.ts";
import { ownerOf } from "./owner.ts";
import type { Part } from "./part.ts";

/** A mode and an owner that were configured later hold for the live file too. Rejects with DESTINATION. */
export async function keepAccess({ target, live: { path, file } }: Part): Promise<void> {
  if (file === undefined) return;
  try {
    const owner = await ownerOf(target, file.owner);
    const moved = owner && (owner.uid !== file.owner.uid || owner.gid !== file.owner.gid);
    if (moved) await chown(path, owner.uid, owner.gid);
    const { mode = file.mode } = target;
    // A change of owner takes the bits for set-id away.
    if (mode !== file.mode || moved) await chmod(path, mode);
  } catch (error) {
    throw destinationError(target.destination, error, path);
  }
}
