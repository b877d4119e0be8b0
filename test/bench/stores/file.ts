import { type FSWatcher, watch } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type BareRef, type BareStore, inTurns, portIn, recordText } from "./store.ts";

/** A folder: a file that is renamed into place, and the kernel's watch on its folder. */
export async function openFile(url: string): Promise<BareStore> {
  const { pathname } = new URL(url);
  const folderOf = ({ service }: BareRef) => join(pathname, "services", service);
  const nameOf = ({ id }: BareRef) => `${id}.json`;
  const made = new Set<string>();
  const watchers: FSWatcher[] = [];
  const make = async (folder: string) => {
    if (!made.has(folder)) await mkdir(folder, { recursive: true });
    made.add(folder);
  };
  return {
    async put(record) {
      const folder = folderOf(record);
      await make(folder);
      const temporary = join(folder, `.tmp-${record.id}`);
      await writeFile(temporary, recordText(record));
      await rename(temporary, join(folder, nameOf(record)));
    },
    async fill(records) {
      for (const record of records) {
        await make(folderOf(record));
        await writeFile(join(folderOf(record), nameOf(record)), recordText(record));
      }
    },
    async count() {
      const names = await readdir(join(pathname, "services"), { recursive: true });
      const files = names.filter((name) => name.endsWith(".json"));
      await inTurns(files, 16, async (name) =>
        JSON.parse(await readFile(join(pathname, "services", name), "utf8")),
      );
      return files.length;
    },
    async remove(ref) {
      await rm(join(folderOf(ref), nameOf(ref)));
    },
    async watch(ref, seen) {
      const folder = folderOf(ref);
      await make(folder);
      const read = () =>
        readFile(join(folder, nameOf(ref)), "utf8").then(
          (text) => seen(portIn(text)),
          () => seen(undefined),
        );
      watchers.push(
        watch(folder, (_event, name) => {
          if (name === nameOf(ref)) void read();
        }),
      );
      await read();
    },
    async close() {
      for (const watcher of watchers) watcher.close();
    },
  };
}
