import { readFile } from "node:fs/promises";
import { dirname, relative } from "node:path";
import { isCollection, isMap, isNode, isScalar, LineCounter, type Node, parseDocument, visit } from "yaml";
import { configSchema, type FileValues } from "./config-schema.ts";

/** A config file as read: its values, or every mistake in it. */
export interface ConfigFile {
  /** Empty when there are mistakes. */
  readonly values: FileValues;
  /** `file:line:column: key.path: what is wrong`, in the order of the file. */
  readonly mistakes: readonly string[];
  /** `file:line:column` of a key path, or of the nearest that stands in the file. */
  place(path: readonly PropertyKey[]): string;
  /** What stands at a key path, as text: a scalar as it is written, all else as JSON. */
  written(path: readonly PropertyKey[]): string;
  /** The sources of all templates as written, also where there are mistakes. */
  readonly templateSources: readonly string[];
}

/** Reads and checks a config file. Never rejects: a file that cannot be read is a mistake. */
export async function readConfigFile(file: string, cwd: string): Promise<ConfigFile> {
  const near = relative(cwd, file);
  const title = near.startsWith("..") ? file : near;
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : String(error);
    return unread(title, [`${title}: ${why}`]);
  }
  return parseConfig(text, title, dirname(file));
}

/** What YAML says of `backend: memory:` does not tell what to do. */
const hints: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY: "; a value that ends in a colon needs quotes",
};

/** Checks the text of a config file. `title` names it in messages; its paths are relative to `folder`. */
export function parseConfig(text: string, title: string, folder: string): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${title}:${line}:${col}`;
  };
  const syntax = document.errors.map(
    (error) => `${at(error.pos[0])}: ${error.message}${hints[error.code] ?? ""}`,
  );
  if (syntax.length > 0) return unread(title, syntax);

  // A number stays the text that it was, so that `mode: 0644` keeps its leading zero.
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === "number" && node.source !== undefined) node.value = node.source;
    },
  });
  let raw: unknown;
  try {
    raw = document.toJS();
  } catch (error) {
    // An alias without an anchor shows only here.
    return unread(title, [`${title}: ${error instanceof Error ? error.message : error}`]);
  }
  const place = (path: readonly PropertyKey[]) => at(offsetOf(document.contents, path));
  const written = (path: readonly PropertyKey[]) => {
    const value: unknown = document.getIn(path);
    return isCollection(value) ? JSON.stringify(value) : String(value);
  };

  const result = configSchema(folder).safeParse(withoutEmpty(raw) ?? {});
  const mistakes = (result.error?.issues ?? [])
    .flatMap((issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key, index) => ({
            path: [...issue.path, key],
            message: issue.message.split("\n")[index] ?? issue.message,
          }))
        : [{ path: issue.path, message: issue.message }],
    )
    .map(({ path, message }) => ({ path, message, offset: offsetOf(document.contents, path) }))
    .sort((a, b) => a.offset - b.offset)
    .map(
      ({ path, message, offset }) =>
        `${at(offset)}: ${path.length > 0 ? `${keyPath(path)}: ` : ""}${message}`,
    );
  return { values: result.data ?? {}, mistakes, place, written, templateSources: sourcesOf(raw) };
}

/** A file of which nothing is known. */
function unread(title: string, mistakes: readonly string[]): ConfigFile {
  return { values: {}, mistakes, place: () => title, written: () => "", templateSources: [] };
}

/** Offset of the key, or list item, at `path`; of its nearest parent where it does not stand in the file. */
function offsetOf(contents: unknown, path: readonly PropertyKey[]): number {
  let node: unknown = contents;
  let found = start(contents as Node | null);
  for (const step of path) {
    if (!isCollection(node)) break;
    const pair = isMap(node)
      ? node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
      : undefined;
    const next = node.get(step, true);
    if (pair === undefined && next === undefined) break;
    found = start((isNode(pair?.key) ? pair.key : next) as Node);
    node = next;
  }
  return found;
}

function start(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}

/** `templater.templates[0].source`. */
function keyPath(path: readonly PropertyKey[]): string {
  return path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${String(step)}`))
    .join("")
    .slice(1);
}

/** A section in which every line is commented out is as good as none. */
function withoutEmpty(raw: unknown): unknown {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) return raw;
  return Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null));
}

function sourcesOf(raw: unknown): readonly string[] {
  const templates = (raw as { templater?: { templates?: unknown } } | null)?.templater?.templates;
  if (!Array.isArray(templates)) return [];
  return templates
    .map((entry) => (entry as { source?: unknown } | null)?.source)
    .filter((s) => typeof s === "string");
}
