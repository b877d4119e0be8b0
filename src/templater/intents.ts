import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { hasCode, renameFile } from "../durable.ts";
import { coded } from "../errors.ts";
import type { StateDir } from "../state-dir.ts";
import { sha256 } from "./hash.ts";
import { overwrite } from "./swap.ts";

/** What one file of a group is to become. */
export interface Intent {
  /** Where the live file is, after all symbolic links. */
  readonly path: string;
  /** The staged file with its bytes; undefined: there is to be no file. */
  readonly staged: string | undefined;
  /** SHA-256 (hex) of the bytes; empty for no file. */
  readonly hash: string;
}

/** Promises on the disk to swap a group's files: made before the first swap, and kept by the next process. */
export interface Intents {
  /** Brings the promise to the disk. Rejects with FAILED, and then there is none. */
  begin(group: string, intents: readonly Intent[]): Promise<void>;
  /** All files are swapped. */
  end(group: string): Promise<void>;
}

/**
 * Keeps what a process that died has promised, and opens the folder for new promises. Rejects with FAILED when
 * that is not possible now; nothing is forgotten then.
 */
export async function openIntents(state: Pick<StateDir, "path" | "write">): Promise<Intents> {
  const nameOf = (group: string) => `swap.${sha256(group).slice(0, 16)}.json`;
  try {
    for (const name of await readdir(state.path)) {
      if (!/^swap\.[0-9a-f]{16}\.json$/.test(name)) continue;
      const file = join(state.path, name);
      for (const intent of parse(await readFile(file, "utf8"))) await fulfil(intent);
      await rm(file, { force: true });
    }
  } catch (error) {
    throw coded("FAILED", error, "a swap of several files that was interrupted cannot be finished: ");
  }
  return {
    begin: (group, intents) => state.write(nameOf(group), `${JSON.stringify(intents)}\n`),
    end: (group) => rm(join(state.path, nameOf(group)), { force: true }),
  };
}

function parse(text: string): readonly Intent[] {
  return JSON.parse(text) as readonly Intent[];
}

async function fulfil({ path, staged, hash }: Intent): Promise<void> {
  if (staged === undefined) return rm(path, { force: true });
  const bytes = await readFile(staged).catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  });
  // It is live already; or it is gone, and the next render mends it.
  if (bytes === undefined || sha256(bytes) !== hash) return;
  await renameFile(staged, path).catch(async (error) => {
    if (!hasCode(error, "EBUSY", "EXDEV")) throw error;
    await overwrite(path, bytes);
    await rm(staged, { force: true });
  });
}
