import type { Format } from "./format.ts";

/** nginx takes words of up to 4,096 bytes; no honest name, address or path comes near. */
const longest = 1024;

const ascii = /^[A-Za-z0-9._:/@+,=[\]-]*$/;
const letters = /^[\p{L}\p{N}\p{M}._:/@+,=[\]-]*$/u;
// Line and paragraph separators count as control characters: some readers break lines there.
const printable = /^[^\p{Cc}\u2028\u2029]*$/u;

const admitted: Readonly<Record<Format, RegExp>> = {
  haproxy: ascii,
  nginx: ascii,
  json: letters,
  yaml: letters,
  toml: letters,
  env: letters,
  text: printable,
};

/** Why `{{x}}` refuses this value in a file of this format, as "holds …"; undefined when it admits it. */
export function whyRefused(value: string, format: Format): string | undefined {
  if (!admitted[format].test(value)) {
    const culprit = [...value].find((char) => !admitted[format].test(char));
    return `holds ${describe(culprit ?? "")}`;
  }
  return tooLong(value, format);
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
