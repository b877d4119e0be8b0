import { readFile } from "node:fs/promises";
import { join } from "node:path";

/** A file of the status page. */
export interface PageFile {
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** The files of the page by their path, each with its type. Nothing else is served from the folder. */
const types: Readonly<Record<string, string>> = {
  "index.html": "text/html; charset=utf-8",
  "page.css": "text/css; charset=utf-8",
  "page.js": "text/javascript; charset=utf-8",
  "icon.svg": "image/svg+xml",
};

/** Beside the executable; what was built last where it runs from the sources. */
const folders = [join(import.meta.dirname, "page"), join(import.meta.dirname, "../../dist/page")];

const read = new Map<string, PageFile>();

/** The file at a path of the server; undefined for any that is none of the page. Read once. */
export async function pageFile(path: string): Promise<PageFile | undefined> {
  const name = path === "/" ? "index.html" : path.slice(1);
  const type = Object.hasOwn(types, name) ? types[name] : undefined;
  if (type === undefined) return undefined;
  const known = read.get(name);
  if (known) return known;
  for (const folder of folders) {
    const bytes = await readFile(join(folder, name)).catch(() => undefined);
    if (bytes === undefined) continue;
    const file = { type, bytes };
    read.set(name, file);
    return file;
  }
  return undefined;
}
