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

  const succession = createSuccession(contender);

  const contend = async (on: Connection): Promise<Tenure> => {
    for (;;) {
      const node = await on.read(path);
      if (node?.holder === on.session.id) {
        return succession.holds(node.created, on.session.timeout / 1000);
      }
      if (node && !succession.takesFrom(node.text)) return succession.waits(node.text);
      succession.takes(node?.created);
      if (node) await on.replace(path, node.version, contender, "ephemeral");
      else await on.create(path, contender, "ephemeral");
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
