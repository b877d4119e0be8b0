import { PortolanError } from "../errors.ts";
import { decodeSegment, encodeSegment } from "../instance.ts";
import type { Observed, Source } from "../source.ts";
import type { HeldNote, Kv, Notes } from "./backend.ts";
import { directlyBelow, inKeyOrder, shareTree } from "./key-paths.ts";

/** Where the notes of an area lie, and how the store holds one. */
export interface NotePlace {
  /** As `kv` reads it: below it each note is the value under its encoded name. Empty: the whole of `kv`. */
  readonly path: string;
  /** A note under a lease of its own at a key below `path`; `ttl` in seconds. */
  hold(key: string, ttl: number): HeldNote;
  /** `Notes.exchange`, of a key below `path`. */
  exchange(
    key: string,
    before: string | undefined,
    after: string | undefined,
    signal: AbortSignal,
  ): Promise<boolean>;
}

/** The notes of an area as the values directly below a path of a store that has keys and values. */
export function createNotes(kv: Omit<Kv, "get" | "list">, { path, hold, exchange }: NotePlace): Notes {
  const keyOf = (name: string) => {
    if (name === "") throw new PortolanError("USAGE", "a note without a name cannot be kept; give it one");
    return path === "" ? encodeSegment(name) : `${path}/${encodeSegment(name)}`;
  };
  return {
    list: async (signal) => byName(await kv.tree(path, signal)),
    watch: () => watchNotes(kv, path),
    put: async (name, text, signal) => kv.put(keyOf(name), text, signal),
    remove: async (name, signal) => kv.remove(keyOf(name), signal),
    exchange: async (name, before, after, signal) => exchange(keyOf(name), before, after, signal),
    hold: (name, ttl) => hold(keyOf(name), ttl),
  };
}

/** What stands below a path, as notes: the same map as long as the notes are the same. */
function watchNotes(kv: Pick<Kv, "watch">, path: string): Source<ReadonlyMap<string, string>> {
  const observation = kv.watch({ keys: new Set(), trees: new Set([path]) });
  let tree: ReadonlyMap<string, string> | undefined;
  let notes: ReadonlyMap<string, string> = new Map();
  return {
    current(): Observed<ReadonlyMap<string, string>> {
      const now = observation.current();
      const below = now.known ? now.value.trees.get(path) : undefined;
      const beside = now.problem && { problem: now.problem };
      if (!below) return { known: false, ...beside };
      if (below !== tree) {
        tree = below;
        notes = shareTree(notes, byName(below));
      }
      return { known: true, value: notes, ...beside };
    },
    subscribe: observation.subscribe,
    refresh: observation.refresh,
    close: observation.close,
  };
}

/** The values directly below a path by their names. A key that encodes no name is somebody else's. */
function byName(tree: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const named = [...directlyBelow(tree)].flatMap(([segment, text]): (readonly [string, string])[] => {
    const name = decoded(segment);
    return name === undefined ? [] : [[name, text]];
  });
  return inKeyOrder(named);
}

function decoded(segment: string): string | undefined {
  try {
    const name = decodeSegment(segment);
    return encodeSegment(name) === segment ? name : undefined;
  } catch {
    return undefined;
  }
}
