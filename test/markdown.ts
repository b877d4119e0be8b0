// The Markdown of the repository, as far as tests hold it to what it speaks of.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** The folder of the repository. */
export const root: string = join(import.meta.dirname, "..");

/** A page: its path below the root, and its text. */
export interface Page {
  readonly path: string;
  readonly text: string;
}

/** Every Markdown file that people read, by path. */
export function pages(): readonly Page[] {
  const below = ["docs", "examples", "image", "src", "test"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
  );
  return [...readdirSync(root), ...below]
    .filter((path) => path.endsWith(".md"))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

/** One page, by its path below the root. */
export function page(path: string): Page {
  return { path: relative(root, join(root, path)), text: readFileSync(join(root, path), "utf8") };
}

const fence = /^( *)```([^\n]*)\n(.*?)^\1```$/gms;

/** The code blocks of a language, in order, without the blanks that they are indented by. */
export function blocks({ text }: Pick<Page, "text">, language: string): readonly string[] {
  return [...text.matchAll(fence)]
    .filter(([, , info]) => info === language)
    .map(([, indent = "", , block = ""]) => block.replaceAll(new RegExp(`^${indent}`, "gm"), ""));
}

/** The text without code blocks. */
export function prose({ text }: Pick<Page, "text">): string {
  return text.replace(fence, "");
}

/** The part of a page below a heading of the second level, up to the next one. */
export function section({ path, text }: Page, heading: string): Page {
  const found = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  if (found === undefined) throw new Error(`${path} has no section "${heading}"`);
  return { path, text: found };
}

/** Where links of a page lead to, as they are written, but for those to the web. */
export function links(page: Page): readonly string[] {
  return [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, to = ""]) => to)
    .filter((to) => !/^[a-z]+:/.test(to));
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchors(page: Pick<Page, "text">): ReadonlySet<string> {
  const made = new Set<string>();
  for (const [, heading = ""] of prose(page).matchAll(/^#{1,6} +(.+)$/gm)) {
    const words = heading.replaceAll(/\]\([^)]*\)/g, "").toLowerCase();
    const name = words.replaceAll(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-");
    let anchor = name;
    for (let again = 1; made.has(anchor); again += 1) anchor = `${name}-${again}`;
    made.add(anchor);
  }
  return made;
}

/** The rows of all tables of a text, as their cells, without the headings. */
export function tableRows({ text }: Pick<Page, "text">): readonly (readonly string[])[] {
  return text
    .split(/^\|(?: *-+ *\|)+$/m)
    .slice(1)
    .flatMap((table) => (/^\n((?:\|.*\n?)*)/.exec(table)?.[1] ?? "").split("\n"))
    .filter((line) => line.startsWith("|"))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/**
 * What is wrong with a cell that is to name a test as "`file`: its name", the file below `folder`; undefined where
 * there is that test. The name may go on with the reason for a skip.
 */
export function missingTest(cell: string, folder: string): string | undefined {
  const [, file, name] = /^`([\w./-]+)`: (.+)$/.exec(cell) ?? [];
  if (file === undefined || name === undefined) return `"${cell}" names no test`;
  const source = readFileSync(join(folder, file), "utf8");
  const isThere = [`"${name}"`, `\`${name}\``, `\`${name}\${`].some((text) => source.includes(text));
  return isThere ? undefined : `${file} has no test "${name}"`;
}
