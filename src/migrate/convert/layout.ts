import type { Piece } from "./piece.ts";
import { tidy } from "./tidy.ts";

/**
 * Writes a template so that Handlebars gives the texts of the pieces to the letter. A tag that is alone on its line
 * takes the line with it, so such a line is written where the pieces have none, and kept from it where they have one.
 */
export function layout(pieces: readonly Piece[]): string {
  return write(flatten(tidy(pieces)));
}

/** A template as a row: `tag` takes its line with it when it is alone on it. */
interface Item {
  readonly kind: "text" | "tag" | "inline" | "partial";
  readonly text: string;
  /** Where a chain's second piece ends. */
  readonly ends?: Chain;
  /** Where the chain ends. */
  readonly closes?: Chain;
}

/**
 * A block with an `{{else if}}` and a third piece. Whether its closing tag is alone on its line, Handlebars decides
 * by the end of its second piece, not of its last one.
 */
interface Chain {
  endsOnBlanks: boolean;
}

function flatten(pieces: readonly Piece[]): readonly Item[] {
  return pieces.flatMap(itemsOf);
}

function itemsOf(piece: Piece): readonly Item[] {
  switch (piece.kind) {
    case "text":
      return [piece];
    case "comment":
      return [{ kind: "tag", text: `{{!-- ${piece.text.replaceAll("--", "- -")} --}}` }];
    case "mustache":
      return [{ kind: "inline", text: piece.raw ? `{{{${piece.code}}}}` : `{{${piece.code}}}` }];
    case "partial":
      return [{ kind: "partial", text: `{{> ${piece.code}}}` }];
    case "block": {
      const chain: Chain | undefined = piece.parts.length > 2 ? { endsOnBlanks: false } : undefined;
      return [
        ...piece.parts.flatMap(({ tag, body }, at): readonly Item[] => [
          { kind: "tag", text: `{{${tag}}}`, ...(chain && at === 2 && { ends: chain }) },
          ...flatten(body),
        ]),
        { kind: "tag", text: `{{/${piece.name}}}`, ...(chain && { closes: chain }) },
      ];
    }
  }
}

function write(items: readonly Item[]): string {
  let out = "";
  /** Where the last tag ends. */
  let from = 0;
  for (let at = 0; at < items.length; at++) {
    const item = items[at] as Item;
    const next = items[at + 1];
    if (item.kind === "text") {
      out += beside(item.text, out.endsWith("}}"), next);
      continue;
    }
    const before = out.slice(from);
    if (item.kind === "tag" && (out === "" || before.endsWith("\n"))) {
      // Tags at the start of a line get lines of their own where the line goes on after them.
      let end = at;
      while (items[end + 1]?.kind === "tag") end++;
      const tags = items.slice(at, end + 1);
      const row = tags.map(({ text }) => text);
      const wanted = row.length === 1 ? end + 1 < items.length : !endsLine(items, end + 1);
      const own = wanted && standsAlone(tags, true);
      if (!own) standsAlone(tags, false);
      out += own ? row.join("\n") : braced(row.join(""), undefined, items[end + 1]);
      from = out.length;
      if (own) out += "\n";
      at = end;
    } else {
      out += braced(item.text, items[at - 1], next);
      // Handlebars looks for blanks and the end of the line on both sides.
      const found = (from === 0 ? /(^|\n)\s*$/ : /\n\s*$/).test(before);
      if (item.ends) item.ends.endsOnBlanks = found;
      const onBlanks = item.closes?.endsOnBlanks ?? found;
      if ((item.kind === "partial" || (item.kind === "tag" && onBlanks)) && endsLine(items, at + 1))
        out += "{{!}}";
      from = out.length;
    }
  }
  return out;
}

/** True when each tag of a row at the start of a line, on a line of its own, is alone in the eyes of Handlebars. */
function standsAlone(tags: readonly Item[], own: boolean): boolean {
  return tags.reduce((all, { ends, closes }, at) => {
    if (ends) ends.endsOnBlanks = at === 0 || own;
    return all && closes?.endsOnBlanks !== false;
  }, true);
}

/** The line holds nothing but blanks from here on. */
function endsLine(items: readonly Item[], at: number): boolean {
  const next = items[at];
  if (next === undefined) return true;
  return (
    next.kind === "text" && (at === items.length - 1 ? /^[ \t]*(\r?\n|$)/ : /^[ \t]*\r?\n/).test(next.text)
  );
}

/** Text as it has to be written between tags. */
function beside(text: string, touches: boolean, next: Item | undefined): string {
  let written = text.replaceAll("{{", "\\{{");
  if (touches && written.startsWith("}")) written = ` ${written}`;
  if (next !== undefined && written.endsWith("{")) written += " ";
  if (next !== undefined && written.endsWith("\\")) written += "\\";
  return written;
}

/**
 * A tag beside braces of the text keeps its distance, and takes the blank away when it is rendered. Inside of a chain
 * Handlebars takes it away in the wrong place, so there a comment does it.
 */
function braced(tag: string, before: Item | undefined, next: Item | undefined): string {
  const raw = tag.startsWith("{{{");
  const opens = before?.kind === "text" && before.text.endsWith("{");
  const closes = next?.kind === "text" && next.text.startsWith("}");
  const [isElse, isEnd] = [/^\{\{else/.test(tag), tag.startsWith("{{/")];
  if (opens && (isElse || isEnd)) return `{{~!}}${braced(tag, undefined, next)}`;
  if (closes && isElse) return `${tag}{{!~}}`;
  const start = opens ? (raw ? "{{~{" : "{{~") : raw ? "{{{" : "{{";
  const end = closes ? (raw ? "}~}}" : "~}}") : raw ? "}}}" : "}}";
  return start + tag.slice(raw ? 3 : 2, raw ? -3 : -2) + end;
}
