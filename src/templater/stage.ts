import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { identity, identityPattern, isAlive } from "../alive.ts";
import { hasCode, type NewFile, openNew } from "../durable.ts";
import { PortolanError } from "../errors.ts";
import { destinationError, type Live } from "./destination.ts";
import { sha256 } from "./hash.ts";
import { ownerOf } from "./owner.ts";
import type { Target } from "./target.ts";

/** A rendered text on the disk, beside the live file, that nobody uses yet. */
export interface Staged {
  readonly path: string;
  /** Closes it, where it was left open. */
  close(): Promise<void>;
  /** Closes and removes it, if it is still there. */
  remove(): Promise<void>;
}

/** The staged files that this process has in use. */
const held = new Set<string>();

/** How a text is staged. */
interface Staging {
  /** The swap need not wait for a close, and nobody can run the file. */
  readonly leaveOpen?: boolean;
  /**
   * Finds out whether the live file is what it is taken for, while the staged one is opened: nothing is written before
   * that is known, nor when it is not. Never rejects.
   */
  readonly isSure?: () => Promise<boolean>;
}

/**
 * Writes `bytes` beside the live file, with the mode and owner that the new one is to have. Rejects with DESTINATION;
 * nothing is left then.
 */
export async function stage(
  bytes: Uint8Array,
  target: Target,
  live: Live,
  { leaveOpen = false, isSure }: Staging = {},
): Promise<Staged> {
  const { destination } = target;
  const path = stagedPath(live.path);
  if (held.has(path)) {
    const reason = "another target of this process has the same destination; remove one of them";
    throw new PortolanError("DESTINATION", `${destination} was not written: ${reason}`);
  }
  held.add(path);
  const mode = target.mode ?? live.file?.mode ?? 0o644;
  let file: NewFile | undefined;
  const close = async () => {
    const open = file;
    file = undefined;
    // The bytes are on the disk, whatever becomes of this.
    await open?.close().catch(() => {});
  };
  const remove = async () => {
    held.delete(path);
    await close();
    // What cannot be removed now is found by the next staging, or by the sweep of the next process.
    await rm(path, { force: true }).catch(() => {});
  };
  try {
    const create = () => openNew(path, mode);
    // Asked first, and so known by the time that the file is open.
    const asking = isSure?.();
    file = await create().catch(async (error) => {
      if (!hasCode(error, "EEXIST")) throw error;
      await rm(path); // ours, and could not be removed when it should have been
      return create();
    });
    if (asking && !(await asking)) throw new Error("the live file is not what it was taken for");
    const owner = await ownerOf(target, live.file?.owner);
    await file.fill(bytes, owner ? { mode, owner } : { mode });
    if (!leaveOpen) await close();
  } catch (error) {
    if (file) await remove();
    held.delete(path);
    throw destinationError(destination, error, live.path);
  }
  return { path, close, remove };
}

/**
 * A dot name, so that `*.cfg` does not match; without the file's own ending, because the globs of some
 * programs do match dot names. It names the writer, and is the same for each try of one process.
 */
function stagedPath(path: string): string {
  const name = basename(path);
  const label = Buffer.byteLength(name) <= 150 ? name : sha256(name).slice(0, 40);
  return join(dirname(path), `.${label}.portolan-${identity()}`);
}

const stagedName = new RegExp(`^\\..*\\.portolan-(?<writer>${identityPattern.source})$`);
const swept = new Map<string, Promise<void>>();

/** Removes what dead processes left staged in a folder; once per process and folder. */
export function sweep(folder: string): Promise<void> {
  const sweeping = swept.get(folder) ?? removeLeftovers(folder);
  swept.set(folder, sweeping);
  return sweeping;
}

async function removeLeftovers(folder: string): Promise<void> {
  // A folder that cannot be read or written is for the staging to report.
  for (const name of await readdir(folder).catch(() => [])) {
    const writer = stagedName.exec(name)?.groups?.writer;
    if (writer !== undefined && !isAlive(writer))
      await rm(join(folder, name), { force: true }).catch(() => {});
  }
}
