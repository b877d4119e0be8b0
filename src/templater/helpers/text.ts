import { isIPv6 } from "node:net";
import { shortHash } from "../escape/slug.ts";
import { type Helper, pure, text } from "./helper.ts";

/** Texts. Where they get a number they work on it as printed. */
export const texts: Readonly<Record<string, Helper>> = {
  split: pure(2, 2, (value, separator) => {
    if (text(separator) === "") throw new Error("needs a separator that is not empty");
    return text(value) === "" ? [] : text(value).split(text(separator));
  }),
  replace: pure(3, 3, (value, from, to) => {
    if (text(from) === "") throw new Error("needs a text to replace that is not empty");
    return text(value).replaceAll(text(from), () => text(to));
  }),
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
  hash: pure(1, 1, (value) => shortHash(text(value))),
};

/** An address as it stands before a port: IPv6 in brackets. */
export function bracketed(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}
