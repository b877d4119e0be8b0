import type Handlebars from "handlebars";
import { PortolanError } from "../errors.ts";

/** Parses a template. Throws TEMPLATE with `file:line:column` when it is not one. */
export function parseTemplate(
  environment: typeof Handlebars,
  file: { readonly path: string; readonly text: string },
): hbs.AST.Program {
  // Handlebars takes a syntax tree in place of a text, and runs the code that one can smuggle in.
  if (typeof file.text !== "string") throw new PortolanError("TEMPLATE", `${file.path}: not a text`);
  try {
    return environment.parse(file.text, { srcName: file.path });
  } catch (cause) {
    const { message, lineNumber, column } = cause as Partial<Handlebars.Exception>;
    const place =
      typeof lineNumber === "number" ? `${lineNumber}:${column + 1}` : placeOf(file.text, message ?? "");
    throw new PortolanError("TEMPLATE", `${file.path}:${place}: ${inWords(message ?? String(cause))}`, {
      cause,
    });
  }
}

/**
 * The parser tells the line, and the column only as a picture: up to 20 characters before the place, without
 * line breaks, what follows, and an arrow below. Those characters are looked up in the text.
 */
function placeOf(text: string, message: string): string {
  const [head = "", picture = "", arrow = ""] = message.split("\n");
  const line = Number(/on line (\d+)/.exec(head)?.[1] ?? 1);
  const before = picture.slice(0, arrow.indexOf("^")).replace(/^\.\.\./, "");
  let at = 1;
  let seen = "";
  for (const [index, content] of text.split("\n").entries()) {
    const end = `${seen}${content}`;
    if (index === line - 1) {
      const found = before === "" ? -1 : end.indexOf(before, Math.max(0, seen.length - before.length));
      at = Math.max(1, found + before.length - seen.length + 1);
      break;
    }
    seen = end.slice(-100);
  }
  return `${line}:${at}`;
}

/** The parser's own words, on one line. */
function inWords(message: string): string {
  const [head = "", , , expected] = message.split("\n");
  const got = /got '(.*)'$/.exec(expected ?? "")?.[1];
  if (got === "EOF") return "the template ends inside a block; close it with {{/…}}";
  if (got === "INVALID" || head.startsWith("Lexical"))
    return "an expression that cannot be read; look for a stray brace or quote";
  if (got !== undefined)
    return `an expression that cannot be read; it goes wrong ${words[got] ?? `at ${got}`}`;
  return head.replace(/ - \d+:\d+$/, "").replace("doesn't match", "is closed, but the open block is");
}

const words: Readonly<Record<string, string>> = {
  CLOSE: "at }}",
  CLOSE_UNESCAPED: "at }}}",
  CLOSE_SEXPR: "at )",
  OPEN_SEXPR: "at (",
  EQUALS: "at =",
  OPEN_ENDBLOCK: "at {{/, which closes nothing",
  INVERSE: "at {{else}}, which stands in no block",
};
