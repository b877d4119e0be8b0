import type { HclItem, HclValue } from "./hcl.ts";
import type { Tell } from "./note.ts";

/** What each key of an old configuration became, as the documentation shows it. */
export interface Key {
  readonly here: string;
  /** Nothing is lost without it. */
  readonly dropped?: true;
}

/** The keys of a configuration, each taken at most once; what is never taken gets told. */
export interface Taker {
  /** All values of a key. A list of objects counts as several. */
  all(key: string): readonly HclValue[];
  text(key: string): { readonly text: string; readonly line: number; readonly textLine: number } | undefined;
  flag(key: string): boolean | undefined;
  /** A text, or a list of texts. */
  words(
    key: string,
  ): { readonly words: readonly string[]; readonly isList: boolean; readonly line: number } | undefined;
  /** A block, to be taken apart in turn. */
  block(key: string): Taker | undefined;
  /** Tells of everything that was not taken. */
  finish(): void;
}

/** Takes keys out of `items`; `path` stands before them in the table of keys. */
export function takeFrom(
  items: readonly HclItem[],
  path: string,
  keys: Readonly<Record<string, Key>>,
  tell: Tell,
): Taker {
  const taken = new Set<HclItem>();
  const inner: Taker[] = [];

  const all = (key: string): readonly HclValue[] =>
    items.flatMap((item) => {
      if (item.key !== key) return [];
      taken.add(item);
      const { value } = item;
      return value.kind === "list" &&
        value.items.length > 0 &&
        value.items.every(({ kind }) => kind === "object")
        ? value.items
        : [value];
    });

  const last = (key: string): HclValue | undefined => all(key).at(-1);

  return {
    all,
    text(key) {
      const value = last(key);
      if (value === undefined || value.kind === "list" || value.kind === "object") return undefined;
      return {
        text: value.text,
        line: value.line,
        textLine: value.kind === "text" ? value.textLine : value.line,
      };
    },
    flag(key) {
      const value = last(key);
      return value === undefined || !("text" in value) ? undefined : /^(true|1|t|yes)$/i.test(value.text);
    },
    words(key) {
      const value = last(key);
      if (value === undefined || value.kind === "object") return undefined;
      if (value.kind !== "list") return { words: [value.text], isList: false, line: value.line };
      return {
        words: value.items.flatMap((one) => ("text" in one ? [one.text] : [])),
        isList: true,
        line: value.line,
      };
    },
    block(key) {
      const blocks = all(key).flatMap((value) => (value.kind === "object" ? value.items : []));
      if (blocks.length === 0) return undefined;
      const made = takeFrom(blocks, `${path}${key}.`, keys, tell);
      inner.push(made);
      return made;
    },
    finish() {
      for (const one of inner) one.finish();
      for (const item of items) {
        if (taken.has(item)) continue;
        const { key, line } = item;
        const what = `${path}${key}`;
        const known = keyFor(what, keys);
        if (known === undefined)
          tell("missing", line, what, "no such key is known; leave it out, or mend it");
        else
          tell(
            known.dropped ? "dropped" : "missing",
            line,
            what,
            known.here.replace(/^not (turned|needed): /, ""),
          );
      }
    },
  };
}

/** The row for a key, or for the block that it stands in. */
function keyFor(path: string, keys: Readonly<Record<string, Key>>): Key | undefined {
  for (let name = path; name !== ""; name = name.replace(/\.?[^.]*$/, "")) {
    if (Object.hasOwn(keys, name)) return keys[name];
  }
  return undefined;
}
