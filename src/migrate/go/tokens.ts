import { GoSyntaxError } from "./syntax-error.ts";

/** A word of an action. `spaced`: white space stands before it, which tells `a.b` from `a .b`. */
export interface Token {
  readonly kind: "text" | "number" | "name" | "field" | "variable" | "sign";
  /** Without quotes, dot or dollar sign. */
  readonly value: string;
  readonly line: number;
  readonly spaced: boolean;
}

/** A template, cut at its delimiters. */
export type Piece = { readonly line: number } & (
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "comment"; readonly text: string }
  | { readonly kind: "action"; readonly source: string; readonly tokens: readonly Token[] }
);

/** What opens and closes an action. */
export interface Delimiters {
  readonly left: string;
  readonly right: string;
}

/**
 * Cuts a template into text and actions, with text trimmed where `{{-` and `-}}` ask for it, as Go's own scanner
 * does. Throws GoSyntaxError.
 */
export function pieces(text: string, { left, right }: Delimiters): readonly Piece[] {
  const out: Piece[] = [];
  let at = 0;
  let line = 1;
  let trims = false;
  const pushText = (raw: string, trimsRight: boolean) => {
    let kept = raw;
    let from = line;
    if (trims) {
      kept = raw.replace(/^[ \t\r\n]+/, "");
      from += lines(raw.slice(0, raw.length - kept.length));
    }
    if (trimsRight) kept = kept.replace(/[ \t\r\n]+$/, "");
    if (kept !== "") out.push({ kind: "text", text: kept, line: from });
    line += lines(raw);
  };
  for (;;) {
    const open = text.indexOf(left, at);
    if (open < 0) {
      pushText(text.slice(at), false);
      return out;
    }
    let inner = open + left.length;
    const trimsLeft = /^-[ \t\r\n]/.test(text.slice(inner, inner + 2));
    pushText(text.slice(at, open), trimsLeft);
    if (trimsLeft) inner += 2;
    const comment = /^\s*\/\*([\s\S]*?)\*\/(?=([ \t\r\n]+-)?)/.exec(text.slice(inner));
    const rest = comment ? text.slice(inner + comment[0].length) : "";
    const closesTrimmed = /^[ \t\r\n]+-/.exec(rest)?.[0] ?? "";
    if (comment) {
      if (!rest.slice(closesTrimmed.length).startsWith(right)) {
        throw new GoSyntaxError(line, "a comment is not the whole action");
      }
      out.push({ kind: "comment", text: (comment[1] ?? "").trim(), line });
      const end = inner + comment[0].length + closesTrimmed.length + right.length;
      line += lines(text.slice(open, end));
      trims = closesTrimmed !== "";
      at = end;
      continue;
    }
    const scanned = scanAction(text, inner, line + lines(text.slice(open, inner)), right);
    const source = text.slice(open, scanned.end);
    out.push({ kind: "action", source, tokens: scanned.tokens, line });
    line += lines(source);
    trims = scanned.trims;
    at = scanned.end;
  }
}

const escapes: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  '"': '"',
  "'": "'",
};

const rules: readonly (readonly [Token["kind"], RegExp])[] = [
  ["text", /"(?:[^"\\\n]|\\.)*"|`[^`]*`/y],
  ["number", /'(?:[^'\\\n]|\\.)+'|[+-]?(?:0[xX][0-9a-fA-F_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)/y],
  ["field", /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ["variable", /\$[\p{L}\p{N}_]*/uy],
  ["name", /[\p{L}_][\p{L}\p{N}_]*/uy],
  ["sign", /:=|[=|(),.]/y],
];

function scanAction(
  text: string,
  from: number,
  startLine: number,
  right: string,
): { readonly tokens: readonly Token[]; readonly end: number; readonly trims: boolean } {
  const tokens: Token[] = [];
  let at = from;
  let line = startLine;
  for (;;) {
    const space = /[ \t\r\n]*/y;
    space.lastIndex = at;
    const blank = space.exec(text)?.[0] ?? "";
    at += blank.length;
    line += lines(blank);
    if (blank !== "" && text.startsWith(`-${right}`, at)) {
      return { tokens, end: at + 1 + right.length, trims: true };
    }
    if (text.startsWith(right, at)) return { tokens, end: at + right.length, trims: false };
    if (at >= text.length) throw new GoSyntaxError(startLine, `an action is not closed by ${right}`);
    const found = match(text, at);
    if (found === undefined) {
      throw new GoSyntaxError(line, `unexpected ${JSON.stringify(text[at])} in an action`);
    }
    tokens.push({ ...found.token, line, spaced: blank !== "" });
    at += found.length;
    line += lines(text.slice(at - found.length, at));
  }
}

function match(
  text: string,
  at: number,
): { readonly token: Pick<Token, "kind" | "value">; readonly length: number } | undefined {
  for (const [kind, rule] of rules) {
    rule.lastIndex = at;
    const word = rule.exec(text)?.[0];
    if (word !== undefined) return { token: { kind, value: meaningOf(kind, word) }, length: word.length };
  }
  return undefined;
}

function meaningOf(kind: Token["kind"], word: string): string {
  if (kind === "field" || kind === "variable") return word.slice(1);
  if (kind === "number" && word.startsWith("'")) return String(unescaped(word).codePointAt(0) ?? 0);
  if (kind !== "text") return word;
  return word.startsWith("`") ? word.slice(1, -1) : unescaped(word);
}

/** What a quoted text stands for. */
function unescaped(word: string): string {
  return word
    .slice(1, -1)
    .replace(
      /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))/gs,
      (_, byte: string, short: string, long: string, octal: string, letter: string) => {
        const digits = byte ?? short ?? long;
        if (digits !== undefined) return String.fromCodePoint(Number.parseInt(digits, 16));
        if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
        return escapes[letter] ?? letter;
      },
    );
}

function lines(text: string): number {
  return text.split("\n").length - 1;
}
