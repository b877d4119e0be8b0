import { readdir, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PortolanError } from "../../errors.ts";
import { decodeSegment, encodeSegment } from "../../instance.ts";
import { createCell, type Source } from "../../source.ts";
import type { Kv } from "../backend.ts";
import { observeKeys } from "../key-observation.ts";
import { directlyBelow, inKeyOrder, shareTree } from "../key-paths.ts";
import { limited } from "../limited.ts";
import { problemOf } from "../problem.ts";
import { createFileNudge } from "./nudge.ts";
import {
  type FileLayout,
  fileError,
  listFolder,
  makeFolder,
  onEach,
  putFile,
  readText,
  remove,
} from "./store.ts";

/** The name by which half-written values are told from a registrator's. */
const writer = "keys";

/** The files of keys and values. */
export interface FilePlace {
  readonly folder: string;
  /** The keys' segments are the files' names as they are. Else they are encoded as in the records' names. */
  readonly plain?: boolean;
  /** Which files count, asked after each was read; all when absent. */
  shows?(file: string): Promise<boolean>;
}

/** Keys and values as the files below a folder: `a/b` is `<folder>/a/b`. */
export function createFileKv(
  title: string,
  layout: FileLayout,
  { folder, plain = false, shows = async () => true }: FilePlace,
): Kv & { close(): void } {
  const [encode, decode] = plain ? [String, String] : [encodeSegment, decodeSegment];
  const nudge = createFileNudge(folder);
  const call = <T>(signal: AbortSignal, work: () => Promise<T>) =>
    limited(signal, work, (error) => fileError(title, error));
  const fileOf = (key: string) => join(folder, ...segmentsOf(key).map(encode));

  /** Nothing there means that nothing was put there only where the registry itself is there. */
  const assertThere = async () => {
    if ((await listFolder(layout.services)) === undefined) {
      throw new Error(`${layout.services} is missing; a registrator makes it again`);
    }
  };

  const get = async (key: string): Promise<string | undefined> => {
    if (segmentsOf(key).length === 0) return undefined;
    const text = await readText(fileOf(key));
    if (text === undefined) await assertThere();
    return text;
  };

  const tree = async (path: string): Promise<ReadonlyMap<string, string>> => {
    const found: [string, string][] = [];
    const visit = async (dir: string, prefix: string): Promise<void> => {
      const entries = await readdir(dir, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
        if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
        throw error;
      });
      const named = entries.filter(({ name }) => !name.startsWith("."));
      await onEach(named, async (entry) => {
        const key = `${prefix}${decode(entry.name)}`;
        if (entry.isDirectory()) return visit(join(dir, entry.name), `${key}/`);
        const file = join(dir, entry.name);
        const text = await readText(file);
        if (text !== undefined && (await shows(file))) found.push([key, text]);
      });
    };
    await visit(fileOf(path), "");
    if (found.length === 0) await assertThere();
    return inKeyOrder(found);
  };

  /** Reads again whenever something may have changed; one read at a time, and one more after the last nudge. */
  const sourceOf = <T>(read: (previous: T | undefined) => Promise<T>): Source<T> => {
    const cell = createCell<T>();
    const ended = new AbortController();
    let previous: T | undefined;
    let again = false;
    let reading = false;
    const look = async () => {
      again = true;
      if (reading) return;
      reading = true;
      while (again && !ended.signal.aborted) {
        again = false;
        try {
          previous = await call(ended.signal, () => read(previous));
          if (!ended.signal.aborted) cell.set(previous);
        } catch (error) {
          if (!ended.signal.aborted) cell.fail(problemOf(fileError(title, error)));
        }
      }
      reading = false;
    };
    const stop = nudge.add(() => void look());
    const { current, subscribe } = cell;
    return {
      current,
      subscribe,
      refresh: () => void look(),
      async close() {
        ended.abort();
        stop();
      },
    };
  };

  return {
    get: (key, signal) => call(signal, () => get(key)),
    list: (path, signal) => call(signal, async () => directlyBelow(await tree(path))),
    tree: (path, signal) => call(signal, () => tree(path)),
    watch: (wants) =>
      observeKeys(
        {
          key: (key) => sourceOf(() => get(key)),
          tree: (path) =>
            sourceOf<ReadonlyMap<string, string>>(async (previous) => shareTree(previous, await tree(path))),
        },
        wants,
      ),
    put: (key, value, signal) =>
      call(signal, async () => {
        if (segmentsOf(key).length === 0) throw new PortolanError("USAGE", `"${key}" is not a key`);
        const file = fileOf(key);
        // The folder goes with its last value, perhaps right now.
        for (let attempt = 0; ; attempt += 1) {
          await makeFolder(dirname(file));
          try {
            await putFile(file, value, writer, "replace");
            return;
          } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== "ENOENT" || attempt === 20) throw error;
          }
        }
      }),
    remove: (key, signal) =>
      call(signal, async () => {
        const file = fileOf(key);
        if ((await get(key)) === undefined) return;
        await remove(file);
        for (let dir = dirname(file); dir.startsWith(`${folder}/`); dir = dirname(dir)) {
          if (
            !(await rmdir(dir).then(
              () => true,
              () => false,
            ))
          )
            return;
        }
      }),
    close: nudge.close,
  };
}

const segmentsOf = (key: string) => key.split("/").filter((segment) => segment !== "");
