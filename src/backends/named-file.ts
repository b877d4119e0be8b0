import { readFile } from "node:fs/promises";
import { coded } from "../errors.ts";
import type { BackendUrl } from "./url.ts";

/** A file that a URL or the environment names, as it was read. */
export interface NamedFile {
  readonly path: string;
  readonly text: string;
}

/** The file that a parameter of a URL names, undefined where none does. Throws BACKEND_URL when it cannot be read. */
export async function readNamedFile(
  { title, query }: BackendUrl,
  parameter: string,
): Promise<NamedFile | undefined> {
  const path = query.get(parameter);
  if (path === undefined) return undefined;
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw coded("BACKEND_URL", error, `backend "${title}": ${parameter}: `);
  });
  return { path, text };
}
