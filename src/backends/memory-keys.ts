import { PortolanError } from "../errors.ts";
import { createCell, type Source } from "../source.ts";
import type { Kv, Lock, NoteArea, Notes } from "./backend.ts";
import { observeKeys } from "./key-observation.ts";
import { directlyBelow, inKeyOrder, shareTree, trimmed } from "./key-paths.ts";
import { createNotes, type NotePlace } from "./notes.ts";
import { createSuccession } from "./succession.ts";

/** Keys and values of this process. */
export function createMemoryKv(): Kv & Pick<NotePlace, "exchange"> {
  const values = new Map<string, string>();
  const listeners = new Set<() => void>();
  const changed = () => {
    for (const listener of [...listeners]) listener();
  };
  const treeOf = (path: string) => {
    const prefix = path === "" ? "" : `${trimmed(path)}/`;
    const below = [...values].filter(([key]) => key.startsWith(prefix));
    return inKeyOrder(below.map(([key, value]) => [key.slice(prefix.length), value]));
  };
  const sourceOf = <T>(read: (previous: T | undefined) => T): Source<T> => {
    const cell = createCell<T>();
    let previous: T | undefined;
    const look = () => {
      previous = read(previous);
      cell.set(previous);
    };
    look();
    listeners.add(look);
    const { current, subscribe } = cell;
    return { current, subscribe, refresh: look, close: async () => void listeners.delete(look) };
  };

  return {
    async get(key, signal) {
      assertLive(signal);
      return values.get(trimmed(key));
    },
    async list(path, signal) {
      assertLive(signal);
      return directlyBelow(treeOf(path));
    },
    async tree(path, signal) {
      assertLive(signal);
      return treeOf(path);
    },
    watch: (wants) =>
      observeKeys(
        {
          key: (key) => sourceOf(() => values.get(trimmed(key))),
          tree: (path) =>
            sourceOf<ReadonlyMap<string, string>>((previous) => shareTree(previous, treeOf(path))),
        },
        wants,
      ),
    async put(key, value, signal) {
      assertLive(signal);
      values.set(trimmed(key), value);
      changed();
    },
    async remove(key, signal) {
      assertLive(signal);
      values.delete(trimmed(key));
      changed();
    },
    async exchange(key, before, after, signal) {
      assertLive(signal);
      if (values.get(trimmed(key)) !== before) return false;
      if (after === undefined) values.delete(trimmed(key));
      else values.set(trimmed(key), after);
      changed();
      return true;
    },
  };
}

/** Locks among contenders of this process, which all die together: nothing expires. */
export function createMemoryLocks(): (name: string, contender: string, ttl: number) => Lock {
  const holders = new Map<
    string,
    { readonly contender: string; readonly token: string; readonly by: unknown }
  >();
  const listeners = new Set<() => void>();
  let last = 0;
  const changed = () => {
    for (const listener of [...listeners]) listener();
  };

  return (name, contender, ttl) => {
    const by = {};
    const succession = createSuccession(contender);
    return {
      async renew(signal) {
        assertLive(signal);
        const holder = holders.get(name);
        if (holder?.by === by) return succession.answer({ held: true, token: holder.token, ttl });
        if (holder && !succession.takesFrom(holder.contender))
          return succession.answer({ held: false, holder: holder.contender });
        succession.takes(holder?.token);
        last += 1;
        const token = String(last);
        holders.set(name, { contender, token, by });
        changed();
        return succession.answer({ held: true, token, ttl });
      },
      watch() {
        const cell = createCell<string | undefined>();
        const look = () => cell.set(holders.get(name)?.contender);
        look();
        listeners.add(look);
        const { current, subscribe } = cell;
        return { current, subscribe, refresh: look, close: async () => void listeners.delete(look) };
      },
      async release() {
        if (holders.get(name)?.by !== by) return;
        holders.delete(name);
        changed();
      },
    };
  };
}

/** Notes among parts of this process, which all die together: those that are held do not expire either. */
export function createMemoryNotes(): (area: NoteArea) => Notes {
  const kv = createMemoryKv();
  /** Who renewed a note last, of those that are held. */
  const holders = new Map<string, unknown>();

  return (path) =>
    createNotes(kv, {
      path,
      exchange: kv.exchange,
      hold(key, ttl) {
        const holder = {};
        return {
          async renew(text, signal) {
            const fresh = holders.get(key) !== holder;
            if (fresh || (await kv.get(key, signal)) !== text) await kv.put(key, text, signal);
            holders.set(key, holder);
            return { ttl, fresh };
          },
          async release(signal) {
            if (holders.get(key) !== holder) return;
            await kv.remove(key, signal);
            holders.delete(key);
          },
        };
      },
    });
}

/** Throws ABORTED where the caller has given up. */
export function assertLive(signal: AbortSignal): void {
  if (signal.aborted) throw new PortolanError("ABORTED", "cancelled");
}
