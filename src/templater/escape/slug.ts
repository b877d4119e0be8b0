import { shortHash } from "../../handlebars/hash.ts";
import type { Format } from "./format.ts";

const longest = 120;

/** What an identifier of each grammar consists of, how it may begin, and what joins the hash to it. */
interface Alphabet {
  readonly foreign: RegExp;
  readonly start: RegExp;
  readonly joint: string;
  /** What looks like the joint and a hash. */
  readonly hashed: RegExp;
}

const dash = { joint: "-", hashed: /-[0-9a-f]{12}$/ };
const words: Alphabet = { ...dash, foreign: /[^A-Za-z0-9_.-]/g, start: /^[A-Za-z0-9_]/ };
const names: Alphabet = {
  foreign: /[^A-Za-z0-9_]/g,
  start: /^[A-Za-z_]/,
  joint: "_",
  hashed: /_[0-9a-f]{12}$/,
};

const alphabets: Readonly<Record<Format, Alphabet>> = {
  // HAProxy's identifiers also take a colon, so that a server is named like its instance.
  haproxy: { ...words, foreign: /[^A-Za-z0-9_.:-]/g },
  nginx: words,
  yaml: words,
  text: words,
  // A dot would open a table inside of a table.
  toml: { ...dash, foreign: /[^A-Za-z0-9_-]/g, start: /^[A-Za-z0-9_]/ },
  // The name of a shell's variable; in JSON, of an object in most languages.
  env: names,
  json: names,
};

/**
 * An identifier for this value: unchanged where it is one already, else with `_` for what is not admitted and
 * a hash that keeps different values apart.
 *
 * Nobody may choose a value whose slug is another's: HAProxy and nginx refuse a file with a name twice. So
 * what looks like the result of a replacement is hashed too, and the hash is longer than a name alone needs.
 */
export function slugOf(value: string, format: Format): string {
  const { foreign, start, joint, hashed } = alphabets[format];
  const replaced = value.replace(foreign, "_").slice(0, longest);
  const plain = start.test(replaced) ? replaced : `_${replaced.slice(joint === "_" ? 0 : 1)}`;
  const unchanged = plain === value && !hashed.test(value);
  return unchanged ? value : `${plain}${joint}${shortHash(value)}`;
}
