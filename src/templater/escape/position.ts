import type { Format } from "./format.ts";

/**
 * What surrounds a value in the file, as far as it decides what the value may hold: inside of `quoted` text and
 * in a `comment` nothing but the quote's end and the line's end matter. Else it is a `key` (before the line's
 * `=`), a whole `value`, the continuation of a word (`inside`), or an item of a YAML `flow` list or mapping.
 */
export type Position = "quoted" | "comment" | "key" | "value" | "inside" | "flow";

/** What was open when the template's own text came to a place. Values are never taken into account. */
export interface Scan {
  /** The quote that will end the text: `"`, `'`, TOML's `"""` and `'''`; empty outside. */
  readonly quote: string;
  readonly comment: boolean;
  /** How many brackets and braces are open. */
  readonly depth: number;
  /** True when the line has had its `=`. */
  readonly assigned: boolean;
  /** The character before, for what means something at the start of a word only. */
  readonly before: string;
}

export const scanStart: Scan = { quote: "", comment: false, depth: 0, assigned: false, before: "\n" };

/** Reads on through a piece of the template's own text. HAProxy, nginx and text have no positions. */
export function scan(from: Scan, text: string, format: Format): Scan {
  let at = from;
  for (let i = 0; i < text.length; i++) {
    const char = text[i] ?? "";
    if (at.quote !== "") {
      const escaped =
        (char === "\\" && at.quote.startsWith('"')) || (format === "yaml" && text.startsWith("''", i));
      if (escaped) i++;
      else if (text.startsWith(at.quote, i)) {
        i += at.quote.length - 1;
        at = { ...at, quote: "" };
      } else if (char === "\n" && at.quote.length === 1 && format !== "env")
        at = newLine({ ...at, quote: "" });
      at = { ...at, before: char };
    } else {
      const opened = opens(at, char, text.slice(i, i + 3), format);
      i += Math.max(0, opened.quote.length - 1);
      at = { ...opened, before: char };
    }
  }
  return at;
}

function opens(at: Scan, char: string, next: string, format: Format): Scan {
  if (char === "\n") return newLine(at);
  if (at.comment) return at;
  // In YAML and in shell, quotes and brackets are letters like others inside of a word, as in "it's".
  const startsWord = /[\s[\]{},:=]/.test(at.before);
  switch (char) {
    case "#":
      return format !== "json" && (startsWord || format === "toml") ? { ...at, comment: true } : at;
    case '"':
    case "'": {
      const triple = format === "toml" && next === char.repeat(3);
      const opens = format === "yaml" ? startsWord : format !== "json" || char === '"';
      return opens ? { ...at, quote: triple ? next : char } : at;
    }
    case "[":
    case "{":
      return (format === "yaml" && startsWord) || at.assigned ? { ...at, depth: at.depth + 1 } : at;
    case "]":
    case "}":
      return { ...at, depth: Math.max(0, at.depth - 1) };
    case "=":
      return { ...at, assigned: true };
    default:
      return at;
  }
}

/** A list in brackets goes on over lines; a comment and what is quoted once does not. */
function newLine(at: Scan): Scan {
  return { ...at, comment: false, assigned: at.assigned && at.depth > 0 };
}

/** The position of a value that stands where the scan has come to. */
export function positionAt({ quote, comment, depth, assigned, before }: Scan, format: Format): Position {
  if (quote !== "") return "quoted";
  if (comment) return "comment";
  if (format === "yaml") return depth > 0 ? "flow" : /\s/.test(before) ? "value" : "inside";
  return (format === "toml" || format === "env") && !assigned ? "key" : "value";
}
