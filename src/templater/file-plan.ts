import { lstat, readFile } from "node:fs/promises";
import { hasCode } from "../durable.ts";
import type { Accepted } from "./accepted.ts";
import { confine } from "./confine.ts";
import { destinationError } from "./destination.ts";
import { isFileOf, targetOf } from "./each.ts";
import type { OwnedFiles } from "./owned-files.ts";
import type { File } from "./part.ts";
import type { FileText, LeftOut } from "./rendered-files.ts";
import type { Target } from "./target.ts";

/** What is to become of the files of a `forEach` target. */
export interface FilePlan {
  /** Those that are to stand, and without a text those that are to go. */
  readonly files: readonly File[];
  /** Services whose place is taken by a file that is not Portolan's. */
  readonly leftOut: readonly LeftOut[];
}

/**
 * Decides about each file: of a service's, whether it may be written; of those that were written before and have
 * no service any more, whether they are still there. A name comes from the registry, so what somebody else has
 * put into the folder is neither replaced nor removed, unless it holds just what would be written. Rejects with
 * DESTINATION.
 */
export async function planFiles(
  target: Target,
  wanted: readonly FileText[],
  owned: OwnedFiles,
  accepted: Pick<Accepted, "get" | "destinations">,
): Promise<FilePlan> {
  // The list of the target's files lies beside them.
  await confine(target, target.destination);
  const known = new Set(accepted.destinations().filter((path) => isFileOf(target, path)));
  const mine = new Set([...known, ...(await owned.read())]);
  const leftOut: LeftOut[] = [];
  const files: File[] = [];
  const kept = new Set<string>();
  for (const { destination, text, service } of wanted) {
    kept.add(destination);
    const kind = await kindOf(destination);
    const isMine = kind === "file" && (mine.has(destination) || (await holds(destination, text)));
    if (kind === "none" || isMine) files.push({ target: targetOf(target, destination), text });
    else leftOut.push({ service: service ?? "", reason: `${destination} ${foreign}` });
  }
  for (const destination of [...mine].sort()) {
    if (kept.has(destination)) continue;
    const kind = await kindOf(destination);
    // One that went, and that the proxy has still to hear of, is told once more.
    if (kind === "file" || (kind === "none" && known.has(destination)))
      files.push({ target: targetOf(target, destination), text: undefined });
  }
  return { files, leftOut };
}

const foreign =
  "is there and was not written by this target; move it away, or choose another destination for the target";

/** A link or a folder is nobody's file. */
async function kindOf(path: string): Promise<"file" | "none" | "other"> {
  try {
    return (await lstat(path)).isFile() ? "file" : "other";
  } catch (error) {
    if (hasCode(error, "ENOENT")) return "none";
    throw destinationError(path, error);
  }
}

async function holds(path: string, text: string): Promise<boolean> {
  return readFile(path).then(
    (bytes) => bytes.equals(Buffer.from(text)),
    () => false,
  );
}
