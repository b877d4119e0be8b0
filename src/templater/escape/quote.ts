import { stringify } from "yaml";
import { describe, tooLong } from "./admit.ts";
import type { Format } from "./format.ts";

const control = /[\p{Cc}\u2028\u2029]/u;

// nginx expands $ inside quotes too, and has no escape for it.
const unquotable: Partial<Record<Format, RegExp>> = {
  haproxy: control,
  env: control,
  nginx: /[\p{Cc}\u2028\u2029$]/u,
};

/** Why a value cannot be written even as a quoted word; undefined when it can. */
export function whyUnquotable(value: string, format: Format): string | undefined {
  const culprit = unquotable[format]?.exec(value)?.[0];
  return culprit === undefined ? tooLong(value, format) : `holds ${describe(culprit)}`;
}

/** One word of the format that stands for exactly this value. The value must be quotable. */
export function quoteWord(value: string, format: Format): string {
  switch (format) {
    case "haproxy":
    case "env":
      // Nothing is special between single quotes but their end: close, write one, open again.
      return `'${value.replaceAll("'", "'\\''")}'`;
    case "nginx":
      return `"${value.replace(/[\\"]/g, "\\$&")}"`;
    default:
      return jsonText(value);
  }
}

/**
 * A value as JSON. Also a YAML flow value and, for strings, numbers and lists of them, TOML: characters that
 * those do not take as they are get escaped.
 */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value) ?? "null";
  // JSON.stringify writes a lone surrogate as an escape, which TOML and YAML refuse; it stands for nothing.
  return text
    .replace(/(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g, "$1\\ufffd")
    .replace(/[\u007f-\u009f\u2028\u2029\ufeff]/g, (char) => {
      return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
    });
}

/** A value as a block of YAML without the last line break, to be put on lines of its own. */
export function yamlText(value: unknown): string {
  // Older readers take `no` and 1:30 for something else than a text.
  const options = { lineWidth: 0, aliasDuplicateObjects: false, compat: "yaml-1.1" } as const;
  return stringify(value ?? null, options).trimEnd();
}
