import { coded } from "../../errors.ts";
import { createCell, type Source } from "../../source.ts";
import type { Kv } from "../backend.ts";
import { observeKeys } from "../key-observation.ts";
import { directlyBelow, inKeyOrder, shareTree } from "../key-paths.ts";
import { limited } from "../limited.ts";
import type { NotePlace } from "../notes.ts";
import { type Connection, isEnded, type Step } from "./connection.ts";
import { childOf, type Leaf, textOf, type ZookeeperFollow } from "./follow.ts";

/**
 * The nodes below the chroot as keys and values: `a/b` and `/a/b` are the node `<chroot>/a/b`. A node without a
 * text that has others below it is none of them.
 */
export function createZookeeperKv(
  title: string,
  connect: () => Promise<Connection>,
  follow: ZookeeperFollow,
  chroot: string,
): Kv & Pick<NotePlace, "exchange"> {
  const pathOf = (key: string) => {
    const inside = key.replace(/^\/+|\/+$/g, "");
    return inside === "" ? chroot || "/" : `${chroot}/${inside}`;
  };
  const call = <T>(
    signal: AbortSignal,
    work: (on: Connection, over: AbortSignal) => Promise<T>,
  ): Promise<T> =>
    limited(
      signal,
      async (over) => {
        for (;;) {
          const on = await connect();
          try {
            return await work(on, over);
          } catch (error) {
            // Who lent the connection has ended it, and another one is there.
            if (!isEnded(on) || over.aborted) throw error;
          }
        }
      },
      (error) => coded("BACKEND_UNREACHABLE", error, `${title}: `),
    );

  /** Every node at and below a path, as new as the leader has them. */
  const readAll = async (on: Connection, path: string): Promise<ReadonlyMap<string, Leaf>> => {
    const leaves = new Map<string, Leaf>();
    const visit = async (at: string): Promise<void> => {
      const node = await on.read(at);
      const names = node && ((await on.list(at)) ?? []);
      if (!node || !names) return;
      leaves.set(at, { text: textOf(node), names });
      await Promise.all(names.map((name) => visit(childOf(at, name))));
    };
    await on.catchUp();
    await visit(path);
    return leaves;
  };

  const treeOf = (path: string, leaves: ReadonlyMap<string, Leaf>) => {
    const prefix = path === "/" ? "/" : `${path}/`;
    const below = [...leaves].flatMap(([at, { text }]): (readonly [string, string])[] =>
      at.startsWith(prefix) && at !== path && text !== undefined ? [[at.slice(prefix.length), text]] : [],
    );
    return inKeyOrder(below);
  };
  const tree = (path: string, signal: AbortSignal) =>
    call(signal, async (on) => treeOf(pathOf(path), await readAll(on, pathOf(path))));

  /** The steps that create a node, and those above it which are missing. */
  const creation = async (on: Connection, path: string, value: string): Promise<readonly Step[]> => {
    const parent = path.slice(0, path.lastIndexOf("/"));
    const above = parent === "" || (await on.exists(parent)) ? [] : await creation(on, parent, "");
    return [...above, { create: path, text: value, mode: "persistent" }];
  };

  /** The steps that remove a node, and those above it which were there for it only. */
  const removal = async (on: Connection, path: string): Promise<readonly Step[]> => {
    const node = await on.read(path);
    if (!node) return [];
    if (node.children > 0) return [{ write: path, version: node.version, text: "" }];
    const steps: Step[] = [{ remove: path, version: node.version }];
    for (let at = path.lastIndexOf("/"); at > chroot.length; at = path.lastIndexOf("/", at - 1)) {
      const above = path.slice(0, at);
      const parent = await on.read(above);
      if (parent?.text !== "" || parent.children > 1) break;
      steps.push({ remove: above, version: parent.version });
    }
    return steps;
  };

  /** Removes what is left above a removed node where others below it were removed at the same time. */
  const sweep = async (on: Connection, path: string) => {
    for (let at = path.lastIndexOf("/"); at > chroot.length; at = path.lastIndexOf("/", at - 1)) {
      const above = path.slice(0, at);
      const parent = await on.read(above);
      if (parent?.text !== "" || parent.children > 0 || !(await on.remove(above, parent.version))) return;
    }
  };

  /** Commits steps that fit, as often as others change the same nodes. */
  const settle = async (on: Connection, over: AbortSignal, steps: () => Promise<readonly Step[]>) => {
    while (!over.aborted) {
      const due = await steps();
      if (due.length === 0 || (await on.commit(due))) return;
    }
  };

  const sourceOf = <T>(
    path: string,
    deep: boolean,
    shown: (leaves: ReadonlyMap<string, Leaf>, previous: T | undefined) => T,
  ): Source<T> => {
    const cell = createCell<T>();
    let previous: T | undefined;
    const followed = follow.add({
      path,
      deep,
      publish(leaves) {
        previous = shown(leaves, previous);
        cell.set(previous);
      },
      fail: cell.fail,
    });
    const { current, subscribe } = cell;
    return { current, subscribe, refresh: followed.refresh, close: async () => followed.stop() };
  };

  return {
    get: (key, signal) =>
      call(signal, async (on) => {
        await on.catchUp();
        const node = await on.read(pathOf(key));
        return node && textOf(node);
      }),
    list: async (path, signal) => directlyBelow(await tree(path, signal)),
    tree,
    watch: (wants) =>
      observeKeys(
        {
          key: (key) => sourceOf(pathOf(key), false, (leaves) => leaves.get(pathOf(key))?.text),
          tree: (path) =>
            sourceOf<ReadonlyMap<string, string>>(pathOf(path), true, (leaves, previous) =>
              shareTree(previous, treeOf(pathOf(path), leaves)),
            ),
        },
        wants,
      ),
    put: (key, value, signal) =>
      call(signal, (on, over) =>
        settle(on, over, async () => {
          const path = pathOf(key);
          const node = await on.read(path);
          if (node) return [{ write: path, version: node.version, text: value }];
          return creation(on, path, value);
        }),
      ),
    exchange: (key, before, after, signal) =>
      call(signal, async (on) => {
        const path = pathOf(key);
        await on.catchUp();
        const node = await on.read(path);
        if ((node && textOf(node)) !== before) return false;
        if (!node) return after === undefined || on.commit(await creation(on, path, after));
        const { version } = node;
        return on.commit([
          after === undefined ? { remove: path, version } : { write: path, version, text: after },
        ]);
      }),
    remove: (key, signal) =>
      call(signal, async (on, over) => {
        await settle(on, over, () => removal(on, pathOf(key)));
        await sweep(on, pathOf(key));
      }),
  };
}
