import { parse } from "smol-toml";
import type { HclItem, HclValue } from "./hcl.ts";

/**
 * A TOML file in the shape of the other configurations, with the line of each key. The parser tells no lines, so
 * each key is looked up in the text below its table's header. Throws the parser's error, which tells the line.
 */
export function parseToml(text: string): readonly HclItem[] {
  const lines = text.split("\n");
  let from = 0;
  const lineOf = (key: string, isTable: boolean): number => {
    const pattern = isTable
      ? new RegExp(
          `^\\s*\\[+\\s*["']?${escaped(key)}["']?\\s*[\\].]|[.\\s]["']?${escaped(key)}["']?\\s*\\]+\\s*(#|$)|^\\s*["']?${escaped(key)}["']?\\s*=`,
        )
      : new RegExp(`(^|[{,])\\s*["']?${escaped(key)}["']?\\s*=`);
    const found = lines.findIndex((line, at) => at >= from && pattern.test(line));
    return found < 0 ? from + 1 : found + 1;
  };

  const itemsOf = (table: object): readonly HclItem[] =>
    Object.entries(table).flatMap(([key, value]): readonly HclItem[] => {
      const isTable =
        typeof value === "object" &&
        value !== null &&
        !(value instanceof Date) &&
        (!Array.isArray(value) || isTables(value));
      if (Array.isArray(value) && isTables(value)) {
        return value.map((one): HclItem => {
          const line = lineOf(key, true);
          from = line;
          return { key, line, value: { kind: "object", items: itemsOf(one), line } };
        });
      }
      const line = lineOf(key, isTable);
      const before = from;
      // A table in braces begins on its key's own line.
      if (isTable) from = /^\s*\[/.test(lines[line - 1] ?? "") ? line : line - 1;
      const made: HclItem = { key, line, value: readValue(value, line) };
      if (!isTable) from = before;
      return [made];
    });

  const readValue = (value: unknown, line: number): HclValue => {
    if (typeof value === "string") return { kind: "text", text: value, line, textLine: line };
    if (Array.isArray(value)) return { kind: "list", items: value.map((one) => readValue(one, line)), line };
    if (typeof value === "object" && value !== null && !(value instanceof Date)) {
      return { kind: "object", items: itemsOf(value), line };
    }
    return { kind: "word", text: String(value), line };
  };

  return itemsOf(parse(text));
}

function isTables(value: readonly unknown[]): value is readonly object[] {
  return (
    value.length > 0 &&
    value.every(
      (one) => typeof one === "object" && one !== null && !Array.isArray(one) && !(one instanceof Date),
    )
  );
}

function escaped(word: string): string {
  return word.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
