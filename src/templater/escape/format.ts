import { basename } from "node:path";

/** Every format that there is. */
export const formats = ["haproxy", "nginx", "json", "yaml", "toml", "env", "text"] as const;

/** The grammar of the rendered file: what a value may hold, and how a word is quoted. */
export type Format = (typeof formats)[number];

const names: readonly (readonly [RegExp, Format])[] = [
  [/^haproxy.*\.cfg$|\.haproxy$/, "haproxy"],
  [/^nginx.*\.conf$|\.nginx$/, "nginx"],
  [/\.json$/, "json"],
  [/\.ya?ml$/, "yaml"],
  [/\.toml$/, "toml"],
  [/\.env$/, "env"],
];

/** The format that a template's file name says, e.g. `haproxy.cfg.hbs`; `text` where it is not plain. */
export function formatOf(path: string): Format {
  const name = basename(path).replace(/\.hbs$/, "");
  return names.find(([pattern]) => pattern.test(name))?.[1] ?? "text";
}
