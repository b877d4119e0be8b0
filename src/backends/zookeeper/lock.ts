import { encodeSegment } from "../../instance.ts";
import { createCell } from "../../source.ts";
import type { Lock, Tenure } from "../backend.ts";
import { createSuccession } from "../succession.ts";
import type { Connection } from "./connection.ts";
import type { ZookeeperFollow } from "./follow.ts";
import { createOwnSession } from "./own-session.ts";
import type { Connector } from "./session.ts";

/**
 * The ephemeral node `<root>/locks/<name>`, which holds the name of its holder. Whoever creates it, where it is absent
 * or in the place of the holding of the same contender's earlier process, has the lock; the token is the transaction that
 * created it.
 *
 * Beside it stands `<name>,<contender>`, of the same session: all nodes are new, so their versions are equal, and only
 * this one tells that what is taken over is still the contender's own at that moment.
 */
export function createZookeeperLock(
  title: string,
  connect: Connector,
  follow: ZookeeperFollow,
  root: string,
  { name, contender }: { readonly name: string; readonly contender: string },
): Lock {
  const folder = `${root}/locks`;
  const path = `${folder}/${encodeSegment(name)}`;
  const mark = `${path},${encodeSegment(contender)}`;
  const session = createOwnSession(title, connect);
  const succession = createSuccession(contender);

  const contend = async (on: Connection): Promise<Tenure> => {
    for (;;) {
      const node = await on.read(path);
      if (node?.holder === on.session.id) {
        return { held: true, token: node.created, ttl: on.session.timeout / 1000 };
      }
      if (node && !succession.takesFrom(node.text)) return { held: false, holder: node.text };
      const marked = await on.read(mark);
      if (node && !marked) return { held: false, holder: node.text };
      if (!node && !(await on.exists(folder))) await on.create(folder, "", "persistent");
      succession.takes(node?.created);
      await on.commit([
        ...(marked ? [{ remove: mark, version: marked.version }] : []),
        ...(node ? [{ remove: path, version: node.version }] : []),
        { create: mark, text: "", mode: "ephemeral" },
        { create: path, text: contender, mode: "ephemeral" },
      ]);
    }
  };

  return {
    // What expired on the way has released the lock: the next session contends like any other.
    renew: async (signal) => succession.answer(await session.use(contend, signal)),

    watch() {
      const cell = createCell<string | undefined>();
      const followed = follow.add({
        path,
        deep: false,
        publish: (leaves) => cell.set(leaves.get(path)?.text),
        fail: cell.fail,
      });
      const { current, subscribe } = cell;
      return { current, subscribe, refresh: followed.refresh, close: async () => followed.stop() };
    },

    release: session.end,
  };
}
