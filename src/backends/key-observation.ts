import { createCell, type Problem, type Source } from "../source.ts";
import type { KeyObservation, KeySnapshot, KeyWants } from "./backend.ts";

/** How a store watches one key or one path. */
export interface KeySources {
  key(key: string): Source<string | undefined>;
  tree(path: string): Source<ReadonlyMap<string, string>>;
}

/** Several sources as one observation: each is watched as long as it is wanted. */
export function observeKeys(sources: KeySources, first: KeyWants): KeyObservation {
  const cell = createCell<KeySnapshot>();
  const keys = new Map<string, Source<string | undefined>>();
  const trees = new Map<string, Source<ReadonlyMap<string, string>>>();
  let last: KeySnapshot = { keys: new Map(), trees: new Map() };
  let closed = false;
  /** Nothing is shown half-changed. */
  let changing = false;

  const show = () => {
    if (changing || closed) return;
    const all = [...keys.values(), ...trees.values()];
    const next: KeySnapshot = { keys: answered(keys), trees: answered(trees) };
    if (all.length === 0 || all.some((source) => source.current().known)) {
      const same = isSame(last.keys, next.keys) && isSame(last.trees, next.trees);
      last = same ? last : next;
      cell.set(last);
    }
    const problem = all.map((source) => source.current().problem).find((one): one is Problem => !!one);
    if (problem) cell.fail(problem);
  };

  const adjust = <T>(
    open: Map<string, Source<T>>,
    wanted: ReadonlySet<string>,
    make: (name: string) => Source<T>,
  ) => {
    for (const [name, source] of open) {
      if (wanted.has(name)) continue;
      open.delete(name);
      void source.close();
    }
    for (const name of wanted) {
      if (open.has(name)) continue;
      const source = make(name);
      open.set(name, source);
      source.subscribe(show);
    }
  };

  const want = (wants: KeyWants) => {
    if (closed) return;
    changing = true;
    adjust(keys, wants.keys, sources.key);
    adjust(trees, wants.trees, sources.tree);
    changing = false;
    show();
  };
  want(first);

  return {
    current: cell.current,
    subscribe: (listener) =>
      cell.subscribe(() => {
        if (!closed) listener();
      }),
    refresh() {
      for (const source of [...keys.values(), ...trees.values()]) source.refresh();
    },
    want,
    async close() {
      closed = true;
      await Promise.all([...keys.values(), ...trees.values()].map((source) => source.close()));
    },
  };
}

function answered<T>(sources: ReadonlyMap<string, Source<T>>): ReadonlyMap<string, T> {
  const known = new Map<string, T>();
  for (const [name, source] of sources) {
    const now = source.current();
    if (now.known) known.set(name, now.value);
  }
  return known;
}

function isSame<T>(a: ReadonlyMap<string, T>, b: ReadonlyMap<string, T>): boolean {
  return a.size === b.size && [...b].every(([name, value]) => a.has(name) && a.get(name) === value);
}
