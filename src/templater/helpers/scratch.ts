import { quoted, text, unquoted } from "../../handlebars/helper.ts";
import { compare } from "../../instance.ts";
import type { Helper } from "./helper.ts";

/** What a template has put aside: gone when the render ends. */
export interface Scratch {
  readonly values: Map<string, unknown>;
  /** By map and key. */
  readonly maps: Map<string, Map<string, unknown>>;
}

export function createScratch(): Scratch {
  return { values: new Map(), maps: new Map() };
}

/** A map with its keys. Without a prototype, as a key may have any name. */
function mapIn({ maps }: Scratch, name: string): object | undefined {
  const entries = maps.get(name);
  return entries && Object.assign(Object.create(null), Object.fromEntries(entries));
}

/** Values put aside for later in the same render. What puts something aside writes nothing. */
export const scratch: Readonly<Record<string, Helper>> = {
  set: {
    arity: [2, 2],
    named: [],
    call: ([name, value], _, { scratch }) => {
      scratch.values.set(text(unquoted(name)), value);
      return quoted("");
    },
  },
  get: {
    arity: [1, 1],
    named: ["default"],
    call: ([name], { default: fallback }, { scratch }) => {
      const known = text(unquoted(name));
      return scratch.values.get(known) ?? mapIn(scratch, known) ?? fallback;
    },
  },
  mapSet: {
    arity: [3, 3],
    named: [],
    call: ([map, key, value], _, { scratch }) => {
      const name = text(unquoted(map));
      const entries = scratch.maps.get(name) ?? new Map<string, unknown>();
      scratch.maps.set(name, entries.set(text(unquoted(key)), value));
      return quoted("");
    },
  },
  mapValues: {
    arity: [1, 1],
    named: [],
    call: ([map], _, { scratch }) =>
      [...(scratch.maps.get(text(unquoted(map))) ?? [])]
        .sort(([a], [b]) => compare(a, b))
        .map(([, value]) => value),
  },
};
