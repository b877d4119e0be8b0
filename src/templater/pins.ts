import { watch } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { createFile, hasCode, renameFile } from "../durable.ts";
import { coded } from "../errors.ts";
import { sha256 } from "./hash.ts";

/**
 * A rollback that is in force: the files of one target, or of one group, stay what they are here until it is
 * released. It is a file in the state folder, which `portolan rollback` writes and removes, and the templater
 * only reads.
 */
export interface Pin {
  /** The destinations, in the order of the configuration. */
  readonly targets: readonly string[];
  /** SHA-256 (hex) of what each is to hold, by destination; null: there is to be no file. */
  readonly files: Readonly<Record<string, string | null>>;
  /** The number of the change, in the journal, that it goes back before. */
  readonly change: number;
}

const prefix = "pin.";
/** By targets: each pass asks for its own. */
const names = new Map<string, string>();

function pathOf(folder: string, targets: readonly string[]): string {
  const key = targets.join("\n");
  const name = names.get(key) ?? `${prefix}${sha256(key).slice(0, 16)}.json`;
  names.set(key, name);
  return join(folder, name);
}

/** The pin of some targets; undefined when there is none. Rejects with FAILED. */
export async function readPin(folder: string, targets: readonly string[]): Promise<Pin | undefined> {
  const path = pathOf(folder, targets);
  try {
    return JSON.parse(await readFile(path, "utf8")) as Pin;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw coded("FAILED", error, `the rollback in ${path} cannot be read; release it: `);
  }
}

/** Puts a pin in the place of the one before. Rejects with FAILED. */
export async function writePin(folder: string, pin: Pin): Promise<void> {
  const path = pathOf(folder, pin.targets);
  const draft = `${path}.${process.pid}`;
  try {
    await rm(draft, { force: true });
    await createFile(draft, `${JSON.stringify(pin)}\n`, { mode: 0o600 });
    await renameFile(draft, path);
  } catch (error) {
    throw coded("FAILED", error, "the rollback cannot be written: ");
  }
}

/** Removes the pin of some targets. Rejects with FAILED. */
export async function removePin(folder: string, targets: readonly string[]): Promise<void> {
  await rm(pathOf(folder, targets), { force: true }).catch((error: unknown) => {
    throw coded("FAILED", error, "the rollback cannot be released: ");
  });
}

/** Calls `changed` when a pin comes or goes; the function that it returns ends that. */
export function watchPins(folder: string, changed: () => void): () => void {
  try {
    const watcher = watch(folder, { persistent: false }, (_event, name) => {
      if (name?.startsWith(prefix)) changed();
    });
    // Where nothing can be watched, the next pass sees it.
    watcher.on("error", () => {});
    return () => watcher.close();
  } catch {
    return () => {};
  }
}
