import { posix } from "node:path";
import type { Files } from "./migrated.ts";

/**
 * A file that a configuration names: where it says, relative to the configuration's folder, or beside the
 * configuration, where somebody has copied both to look at them.
 */
export function findFile(
  named: string,
  config: string,
  files: Files,
): { readonly path: string; readonly text: string } | undefined {
  const folder = posix.dirname(config);
  const places = [named, posix.join(folder, named), posix.join(folder, posix.basename(named))];
  for (const path of places) {
    const text = files.read(path);
    if (text !== undefined) return { path, text };
  }
  return undefined;
}
