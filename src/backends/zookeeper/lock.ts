import { encodeSegment } from "../../instance.ts";
import { createCell } from "../../source.ts";
import type { Lock, Tenure } from "../backend.ts";
import type { Connection } from "./connection.ts";
import type { ZookeeperFollow } from "./follow.ts";
import { createOwnSession } from "./own-session.ts";
import type { Connector } from "./session.ts";

/**
 * The ephemeral node `<root>/locks/<name>`, which holds the name of its holder. Whoever creates it has the lock; the
 * token is the transaction that created it.
 */
export function createZookeeperLock(
  title: string,
  connect: Connector,
  follow: ZookeeperFollow,
  root: string,
  { name, contender }: { readonly name: string; readonly contender: string },
): Lock {
  const path = `${root}/locks/${encodeSegment(name)}`;
  const session = createOwnSession(title, connect);

  const contend = async (on: Connection): Promise<Tenure> => {
    for (;;) {
      const node = await on.read(path);
      if (node?.holder === on.session.id) {
        return { held: true, token: node.created, ttl: on.session.timeout / 1000 };
      }
      if (node) return { held: false, holder: node.text };
      await on.create(path, contender, "ephemeral");
    }
  };

  return {
    // What expired on the way has released the lock: the next session contends like any other.
    renew: (signal) => session.use(contend, signal),

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
