import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** The files that make a configuration. */
export interface ConfigPaths {
  /** Absolute, in the order in which they are joined; there or not. */
  readonly files: readonly string[];
  /** The folder that they are all of, where one was given. */
  readonly folder?: string;
}

/** The names that a folder is read for: not what editors leave there. */
export const configNames = /^[^.].*\.(?:yaml|yml|json)$/;

/** What a path stands for: itself, or the files of a folder in the order of their names. */
export async function configPaths(path: string): Promise<ConfigPaths> {
  try {
    const names = (await readdir(path)).filter((name) => configNames.test(name)).sort();
    return { files: names.map((name) => join(path, name)), folder: path };
  } catch {
    // What is no folder is a file, or will be told as one that cannot be read.
    return { files: [path] };
  }
}
