import { isCollection, isMap, isNode, isScalar, LineCounter, type Node, parseDocument, visit } from "yaml";

/** One text of a configuration, before anybody knows what it means. */
export interface ConfigText {
  /** The file, as messages name it. */
  readonly title: string;
  /** What it holds, numbers as they are written; undefined where it holds nothing, or is no YAML. */
  readonly raw: unknown;
  /** `file:line:column: what is wrong` of what is no YAML. */
  readonly mistakes: readonly string[];
  /** Where the key, or list item, at `path` stands; where it does not, its nearest parent. */
  offset(path: readonly PropertyKey[]): number;
  /** `file:line:column` of an offset. */
  at(offset: number): string;
}

/** What YAML says of `backend: memory:` does not tell what to do. */
const hints: Readonly<Record<string, string>> = {
  BLOCK_AS_IMPLICIT_KEY: "; a value that ends in a colon needs quotes",
};

/** Reads YAML, of which JSON is a part. */
export function parseConfigText(text: string, title: string): ConfigText {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${title}:${line}:${col}`;
  };
  const syntax = document.errors.map(
    (error) => `${at(error.pos[0])}: ${error.message}${hints[error.code] ?? ""}`,
  );
  if (syntax.length > 0) return noConfigText(title, syntax);

  // A number stays the text that it was, so that `mode: 0644` keeps its leading zero.
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === "number" && node.source !== undefined) node.value = node.source;
    },
  });
  try {
    const raw: unknown = document.toJS() ?? undefined;
    return { title, raw, mistakes: [], offset: (path) => offsetOf(document.contents, path), at };
  } catch (error) {
    // An alias without an anchor shows only here.
    return noConfigText(title, [`${title}: ${error instanceof Error ? error.message : error}`]);
  }
}

/** A text of which nothing is known. */
export function noConfigText(title: string, mistakes: readonly string[]): ConfigText {
  return { title, raw: undefined, mistakes, offset: () => 0, at: () => title };
}

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
