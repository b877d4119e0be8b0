import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { identity } from "../alive.ts";
import { createFile, hasCode, renameFile } from "../durable.ts";
import { compare } from "../instance.ts";
import { destinationError } from "./destination.ts";
import { isFileOf } from "./each.ts";
import { sha256 } from "./hash.ts";
import type { Target } from "./target.ts";

/**
 * Which files a `forEach` target has written: a list beside them, `.portolan.<hash>`, so that it shares their fate
 * and outlives a state folder that is lost. The dot keeps it out of `*.conf`, and it has no ending of its own.
 */
export interface OwnedFiles {
  /** The paths in the list, whether there are files or not. Rejects with DESTINATION. */
  read(): Promise<ReadonlySet<string>>;
  /** Adds files that are about to be written. Rejects with DESTINATION, and then the list is what it was. */
  claim(paths: Iterable<string>): Promise<void>;
  /** Keeps just these. Rejects like `claim`. */
  settle(paths: Iterable<string>): Promise<void>;
}

/** The files of one target. Calls are to be made one after the other. */
export function openOwnedFiles(target: Pick<Target, "destination">): OwnedFiles {
  const folder = dirname(target.destination);
  const path = join(folder, `.portolan.${sha256(basename(target.destination)).slice(0, 16)}`);
  let drafts = 0;

  const read = async (): Promise<ReadonlySet<string>> => {
    const text = await readFile(path, "utf8").catch((error: unknown) => {
      if (hasCode(error, "ENOENT")) return "";
      throw destinationError(target.destination, error, path);
    });
    // Whatever a list says, nothing but files of this target is touched.
    const paths = text.split("\n").map((name) => join(folder, name));
    return new Set(paths.filter((one) => isFileOf(target, one)));
  };

  const write = async (paths: ReadonlySet<string>) => {
    drafts += 1;
    // Named like a staged file: the sweep takes away what a crash leaves.
    const draft = join(folder, `.files${drafts}.portolan-${identity()}`);
    const text = [...paths].map((one) => `${basename(one)}\n`).sort(compare);
    try {
      await createFile(draft, text.join(""), { mode: 0o644 });
      await renameFile(draft, path);
    } catch (error) {
      throw destinationError(target.destination, error, path);
    }
  };

  return {
    read,
    async claim(paths) {
      const known = await read();
      const all = new Set([...known, ...paths]);
      if (all.size > known.size) await write(all);
    },
    async settle(paths) {
      const [known, wanted] = [await read(), new Set(paths)];
      const isSame = known.size === wanted.size && [...wanted].every((one) => known.has(one));
      if (!isSame) await write(wanted);
    },
  };
}
