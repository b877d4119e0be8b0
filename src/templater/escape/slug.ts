import { createHash } from "node:crypto";
import type { Format } from "./format.ts";

const longest = 120;

/**
 * An identifier for this value: unchanged where it is one already, else with `_` for what is not admitted and
 * a hash that keeps different values apart. HAProxy's identifiers also take a colon, so that a server is named
 * like its instance.
 *
 * Nobody may choose a value whose slug is another's: HAProxy and nginx refuse a file with a name twice. So
 * what looks like the result of a replacement is hashed too, and the hash is longer than a name alone needs.
 */
export function slugOf(value: string, format: Format): string {
  const foreign = format === "haproxy" ? /[^A-Za-z0-9_.:-]/g : /[^A-Za-z0-9_.-]/g;
  const plain = value
    .replace(foreign, "_")
    .replace(/^[^A-Za-z0-9_]|^$/, "_")
    .slice(0, longest);
  const unchanged = plain === value && !/-[0-9a-f]{12}$/.test(value);
  return unchanged ? value : `${plain}-${shortHash(value)}`;
}

/** Twelve hexadecimal digits that depend on the value alone. */
export function shortHash(value: string): string {
  return createHash("sha256").update(value).digest("hex").slice(0, 12);
}
