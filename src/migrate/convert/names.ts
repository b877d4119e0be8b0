import { helpers } from "../../templater/helpers/index.ts";

const reserved = new Set([
  "as",
  "else",
  "this",
  "true",
  "false",
  "null",
  "undefined",
  "if",
  "each",
  "with",
  "unless",
]);

/** What templates read the world with is a helper in each of our versions, also where this one has it not. */
const readers = new Set(["containers", "key", "keyExists", "ls", "tree"]);

/** A name for the value of a block: no helper's, and no other block's around it. */
export function blockName(wanted: string, taken: ReadonlySet<string>): string {
  const isFree = (name: string) =>
    !taken.has(name) && !helpers.has(name) && !readers.has(name) && !reserved.has(name);
  const plain = wanted.replace(/[^A-Za-z0-9_]/g, "_");
  const longer = `the${plain.charAt(0).toUpperCase()}${plain.slice(1)}`;
  for (let count = 1; ; count++) {
    const found = [plain, longer].map((name) => (count === 1 ? name : `${name}${count}`)).find(isFree);
    if (found !== undefined) return found;
  }
}

/** The name of the partial that a `{{define}}` becomes: that of its file without endings. */
export function partialName(prefix: string, name: string): string {
  return `${prefix}-${name}`.replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^-+|-+$/g, "");
}
