import { encodeSegment } from "../../instance.ts";

/** What a label may ask for. The README lists these: records have to fit every backend. */
export const limits = {
  /** Bytes of a service name or id as it stands in a key; the longest file name is 255 with its ending. */
  name: 200,
  /** Bytes of a tag. */
  tag: 255,
  tags: 100,
  /** Bytes of a key of meta or of a check. */
  key: 128,
  /** Bytes of a value of meta or of a check. */
  value: 4096,
  /** Bytes of all meta together; znodes end at 1 MiB, etcd's requests at 1.5 MiB. */
  meta: 65_536,
} as const;

/** Control characters, halves of a character, and what changes the order in which others are shown. */
const unfit = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/u;

/** Why a text cannot be a service name or an id, as "is …" or "holds …"; undefined when it can. */
export function whyNoName(text: string): string | undefined {
  if (text.trim() === "") return "is empty";
  const why = whyNoText(text) ?? tooLong(text, limits.name);
  if (why !== undefined) return why;
  // Consul addresses both by URL paths, which no encoding keeps from being shortened.
  if (/(^|\/)\.{0,2}(\/|$)/.test(text)) return 'holds an empty, "." or ".." part between slashes';
  if (encodeSegment(text).length <= limits.name) return undefined;
  return `is longer than ${limits.name} bytes in a key, where letters beyond A to Z take several`;
}

/** Why a text cannot be a tag. */
export function whyNoTag(text: string): string | undefined {
  return whyNoText(text) ?? tooLong(text, limits.tag);
}

/** Why a text cannot be a key of meta or of a check. */
export function whyNoKey(text: string): string | undefined {
  // Who reads the record might take it for the prototype of its object.
  if (text === "__proto__") return "is a name that programs reserve";
  return whyNoText(text) ?? tooLong(text, limits.key);
}

/** Why a text cannot be a value of meta: line breaks are fine there, NUL and halves of a character nowhere. */
export function whyNoValue(text: string): string | undefined {
  const culprit = /[\0\p{Cs}]/u.exec(text)?.[0];
  return culprit === undefined ? tooLong(text, limits.value) : `holds ${codePoint(culprit)}`;
}

/** Why a text cannot be a value of a check. */
export function whyNoCheck(text: string): string | undefined {
  return whyNoText(text) ?? tooLong(text, limits.value);
}

function whyNoText(text: string): string | undefined {
  const culprit = unfit.exec(text)?.[0];
  if (culprit === undefined) return undefined;
  return culprit === "\n" || culprit === "\r" ? "holds a line break" : `holds ${codePoint(culprit)}`;
}

function codePoint(char: string): string {
  return `the character U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

function tooLong(text: string, most: number): string | undefined {
  return Buffer.byteLength(text) > most ? `is longer than ${most} bytes` : undefined;
}
