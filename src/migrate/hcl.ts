/**
 * HCL as consul-template reads it, which is the first version of the language, and the same as JSON: blocks,
 * attributes, lists, heredocs. Written here because what there is on npm reads HCL's second version, as a
 * WebAssembly program of megabytes that tells no lines; the part that consul-template uses is this small.
 */
export type HclValue = { readonly line: number } & (
  | { readonly kind: "text"; readonly text: string; readonly textLine: number }
  /** A number or `true`, `false`, as it is written. */
  | { readonly kind: "word"; readonly text: string }
  | { readonly kind: "list"; readonly items: readonly HclValue[] }
  | { readonly kind: "object"; readonly items: readonly HclItem[] }
);

/** One key with its value; a block is a key with an object. A key may stand several times. */
export interface HclItem {
  readonly key: string;
  readonly line: number;
  readonly value: HclValue;
}

/** A file that is no HCL. */
export class HclError extends Error {
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.name = "HclError";
    this.line = line;
  }
}

/** Reads a file. Throws HclError. */
export function parseHcl(text: string): readonly HclItem[] {
  let at = 0;
  let line = 1;

  const fail = (message: string): never => {
    throw new HclError(line, message);
  };
  const take = (rule: RegExp): RegExpExecArray | undefined => {
    rule.lastIndex = at;
    const found = rule.exec(text);
    if (found === null) return undefined;
    at += found[0].length;
    line += found[0].split("\n").length - 1;
    return found;
  };
  const skip = () => {
    while (take(/[\s,]+|#.*|\/\/.*|\/\*[\s\S]*?\*\//y)) {}
  };

  const items = (end: "}" | undefined): readonly HclItem[] => {
    const found: HclItem[] = [];
    for (;;) {
      skip();
      if (end !== undefined && take(/\}/y)) return found;
      if (at >= text.length) return end === undefined ? found : fail("a block is not closed by }");
      found.push(item());
    }
  };

  const item = (): HclItem => {
    const start = line;
    const key = name() ?? fail(`a key should stand here, not ${JSON.stringify(text.slice(at, at + 10))}`);
    const labels: string[] = [];
    for (;;) {
      take(/[ \t]+/y);
      const label = text[at] === '"' ? name() : undefined;
      if (label === undefined) break;
      labels.push(label);
    }
    take(/\s+/y);
    const assigned = take(/[=:]/y) !== undefined;
    skip();
    if (!assigned && text[at] !== "{") fail(`${key} has neither = nor {`);
    return { key: [key, ...labels].join("."), line: start, value: value() };
  };

  const name = (): string | undefined => {
    const plain = take(/[A-Za-z_][A-Za-z0-9_.-]*/y);
    return plain ? plain[0] : quoted();
  };

  const quoted = (): string | undefined => {
    const found = take(/"((?:[^"\\\n]|\\[\s\S])*)"/y);
    return found && unescaped(found[1] ?? "");
  };

  const value = (): HclValue => {
    skip();
    const start = line;
    if (take(/\{/y)) return { kind: "object", items: items("}"), line: start };
    if (take(/\[/y)) {
      const list: HclValue[] = [];
      for (;;) {
        skip();
        if (take(/\]/y)) return { kind: "list", items: list, line: start };
        if (at >= text.length) fail("a list is not closed by ]");
        list.push(value());
      }
    }
    const heredoc = take(/<<(-?)([A-Za-z_]\w*)[ \t]*\r?\n/y);
    if (heredoc) {
      const body = take(new RegExp(`([\\s\\S]*?)^[ \\t]*${heredoc[2]}[ \\t]*$`, "my"));
      const found = body?.[1] ?? fail(`a text is not closed by ${heredoc[2]}`);
      return { kind: "text", text: heredoc[1] ? outdented(found) : found, line: start, textLine: start + 1 };
    }
    const word = take(/-?[\w.+-]+/y);
    if (word) return { kind: "word", text: word[0], line: start };
    const string =
      quoted() ?? fail(`a value should stand here, not ${JSON.stringify(text.slice(at, at + 10))}`);
    return { kind: "text", text: string, line: start, textLine: start };
  };

  skip();
  // JSON is one object.
  if (take(/\{/y)) return items("}");
  return items(undefined);
}

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f" };

function unescaped(word: string): string {
  return word.replace(/\\(?:u([0-9a-fA-F]{4})|([\s\S]))/g, (_, digits: string | undefined, letter: string) =>
    digits === undefined ? (escapes[letter] ?? letter) : String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

/** Without the blanks that all lines begin with. */
function outdented(text: string): string {
  const margins = text
    .split("\n")
    .flatMap((line) => (line.trim() === "" ? [] : (/^[ \t]*/.exec(line)?.[0].length ?? 0)));
  const margin = margins.length > 0 ? Math.min(...margins) : 0;
  return text.replace(new RegExp(`^[ \\t]{0,${margin}}`, "gm"), "");
}
