import { isIP } from "node:net";
import { longestOutput } from "./budget.ts";
import { type Helper, number, pure, quoted, quotedTextOf, text, unquoted } from "./helper.ts";
import { printf } from "./printf.ts";

/** Texts. Where they get a number they work on it as printed. */
export const texts: Readonly<Record<string, Helper>> = {
  split: {
    ...pure(2, 2, (value, separator) => {
      if (text(separator) === "") throw new Error("needs a separator that is not empty");
      return text(value) === "" ? [] : text(value).split(text(separator));
    }),
    searches: true,
  },
  replace: { ...pure(3, 3, replaced), searches: true },
  trim: pure(1, 1, (value) => text(value).trim()),
  trimPrefix: pure(2, 2, (value, prefix) =>
    text(value).startsWith(text(prefix)) ? text(value).slice(text(prefix).length) : text(value),
  ),
  trimSuffix: pure(2, 2, (value, suffix) =>
    text(value).endsWith(text(suffix))
      ? text(value).slice(0, text(value).length - text(suffix).length)
      : text(value),
  ),
  toLower: pure(1, 1, (value) => text(value).toLowerCase()),
  toUpper: pure(1, 1, (value) => text(value).toUpperCase()),
  bracket: pure(1, 1, (address) => bracketed(text(address))),
  printf: pure(1, 20, (format, ...values) => printf(text(format), values)),
  indent: {
    arity: [2, 2],
    named: [],
    // What is quoted stays so: spaces between the lines of a JSON or YAML value mean nothing.
    call: ([value, width]) => {
      const written = indented(text(unquoted(value)), number(unquoted(width)));
      return quotedTextOf(value) === undefined ? written : quoted(written);
    },
  },
};

function replaced(value: unknown, from: unknown, to: unknown): string {
  if (text(from) === "") throw new Error("needs a text to replace that is not empty");
  const [whole, part, by] = [text(value), text(from), text(to)];
  // Counted before it is made: a short text can become one that fills the memory.
  if (by.length > part.length)
    fits((whole.length / part.length) * by.length, () => {
      const count = whole.split(part).length - 1;
      return whole.length + count * (by.length - part.length);
    });
  return whole.replaceAll(part, () => by);
}

/** Throws when a text would be longer than a file may be: by the estimate, and then as it is counted. */
function fits(most: number, count: () => number): void {
  if (most > longestOutput && count() > longestOutput) {
    throw new Error(`would give a text of more than ${longestOutput / 1024 / 1024} MB`);
  }
}

/** Each line that is not empty, moved to the right. */
function indented(value: string, width: number): string {
  if (!Number.isInteger(width) || width < 0 || width > 100) throw new Error("needs a width from 0 to 100");
  const lines = value.split("\n");
  fits(value.length + lines.length * width, () => value.length + lines.length * width);
  return lines.map((line) => (line === "" ? "" : " ".repeat(width) + line)).join("\n");
}

/** An address as it stands before a port: IPv6 in brackets. */
export function bracketed(address: string): string {
  return isIP(address) === 6 ? `[${address}]` : address;
}
