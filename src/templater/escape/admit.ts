import type { Format } from "./format.ts";
import type { Position } from "./position.ts";

/** nginx takes words of up to 4,096 bytes; no honest name, address or path comes near. */
const longest = 1024;

const notAscii = /[^A-Za-z0-9._:/@+,=[\]-]/u;
const noLetter = /[^\p{L}\p{N}\p{M}._:/@+,=[\]-]/u;
// Line and paragraph separators count as control characters: some readers break lines there.
const control = /[\p{Cc}\u2028\u2029]/u;

/** A character that each format does not take. */
const foreign: Readonly<Record<Format, RegExp>> = {
  haproxy: notAscii,
  nginx: notAscii,
  json: noLetter,
  yaml: noLetter,
  toml: noLetter,
  env: noLetter,
  text: control,
};

/**
 * Why `{{x}}` refuses this value in a file of this format, as "holds …"; undefined when it admits it. Outside
 * of quotes some formats give a meaning to characters that are harmless inside.
 */
export function whyRefused(value: string, format: Format, position: Position = "quoted"): string | undefined {
  const culprit = foreign[format].exec(value)?.[0];
  if (culprit !== undefined) return `holds ${describe(culprit)}`;
  return tooLong(value, format) ?? whyMisread(value, format, position);
}

const number = /^[+-]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;
const moment =
  /^([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}:[0-9]{2}:[0-9]{2})([Tt][0-9]{2}:[0-9]{2}:[0-9]{2}([Zz]|[+-][0-9]{2}:[0-9]{2})?)?$/;

/** Why a text of admitted characters would be more than one value, or none, where it stands. */
function whyMisread(value: string, format: Format, position: Position): string | undefined {
  if (position === "quoted" || position === "comment") return undefined;
  switch (format) {
    case "json": {
      const scalar = (number.test(value) && !value.startsWith("+")) || /^(true|false|null)$/.test(value);
      return scalar ? undefined : "is not a number, true, false or null, and stands outside of quotes";
    }
    case "toml":
      if (position === "key") return /^[A-Za-z0-9_-]+$/.test(value) ? undefined : "is not a bare key";
      return number.test(value) || moment.test(value) || /^(true|false)$/.test(value)
        ? undefined
        : "is not a number, a date, true or false, and stands outside of quotes";
    case "env":
      return position !== "key" || /^[A-Za-z_][A-Za-z0-9_]*$/.test(value)
        ? undefined
        : "is not the name of a variable";
    case "yaml": {
      const misread =
        /:$/.test(value) ||
        (position === "value" && /^[[\],@]|^[-:]$|^(---|\.\.\.)$/.test(value)) ||
        (position === "flow" && (value === "" || /[[\],]|^[@:-]/.test(value)));
      return misread ? "means more than a text in YAML outside of quotes" : undefined;
    }
    default:
      return undefined;
  }
}

/** Why a value cannot be one word of HAProxy or nginx whatever its characters; undefined when it can. */
export function tooLong(value: string, format: Format): string | undefined {
  const bounded = format === "haproxy" || format === "nginx";
  return bounded && value.length > longest ? `is longer than ${longest} characters` : undefined;
}

/** A character as words for an error. */
export function describe(char: string): string {
  if (char === "\n" || char === "\r") return "a line break";
  if (char === " ") return "a space";
  if (/[\p{Cc}\p{Cs}\u2028\u2029]/u.test(char)) {
    return `the character U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
  }
  return `the character ${char}`;
}

/** A value for an error: as JSON, so that it stays on one line, and cut. */
export function shown(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}
