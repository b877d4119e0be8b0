import { createCell, type Source } from "../../source.ts";
import type { Kv } from "../backend.ts";
import { observeKeys } from "../key-observation.ts";
import { directlyBelow, inKeyOrder, shareTree, trimmed } from "../key-paths.ts";
import type { EtcdClient } from "./client.ts";
import type { Follow } from "./follow.ts";
import { op } from "./txn.ts";

/** Keys and values of the whole etcd, as they are written: `a/b` and `/a/b` are two keys. */
export function createEtcdKv(client: EtcdClient, follow: Follow): Kv {
  /** What a mirror of one place says, as a source. */
  const sourceOf = <T>(
    place: string,
    shown: (texts: ReadonlyMap<string, string>, previous: T | undefined) => T,
  ): Source<T> => {
    const cell = createCell<T>();
    const texts = new Map<string, string>();
    let previous: T | undefined;
    const following = follow(place, {
      replace(entries) {
        texts.clear();
        for (const [key, text] of entries) texts.set(key, text);
      },
      put: (key, text) => void texts.set(key, text),
      delete: (key) => void texts.delete(key),
      publish() {
        previous = shown(texts, previous);
        cell.set(previous);
      },
      fail: cell.fail,
    });
    const { current, subscribe } = cell;
    return {
      current,
      subscribe,
      refresh: following.refresh,
      close: async () => following.stop(),
    };
  };

  const treeOf = (place: string, texts: Iterable<readonly [string, string]>) =>
    inKeyOrder([...texts].map(([key, text]) => [key.slice(place.length), text]));

  const read = async (place: string, signal: AbortSignal) => {
    const { entries } = await client.list(place, signal);
    return entries.map(({ key, text }) => [key, text] as const);
  };
  const below = (path: string) => `${trimmed(path)}/`;
  const tree = async (path: string, signal: AbortSignal) =>
    treeOf(below(path), await read(below(path), signal));

  return {
    get: async (key, signal) => (await read(trimmed(key), signal))[0]?.[1],
    list: async (path, signal) => directlyBelow(await tree(path, signal)),
    tree,
    watch: (wants) =>
      observeKeys(
        {
          key: (key) => sourceOf(trimmed(key), (texts) => texts.get(trimmed(key))),
          tree: (path) =>
            sourceOf<ReadonlyMap<string, string>>(below(path), (texts, previous) =>
              shareTree(previous, treeOf(below(path), texts)),
            ),
        },
        wants,
      ),
    async put(key, value, signal) {
      await client.txn([], [op.put(trimmed(key), value, "0")], [], signal);
    },
    async remove(key, signal) {
      await client.txn([], [op.remove(trimmed(key))], [], signal);
    },
  };
}
