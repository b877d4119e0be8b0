import { coded, PortolanError } from "../../errors.ts";
import { encodeSegment } from "../../instance.ts";
import { createCell } from "../../source.ts";
import type { Lock, Tenure } from "../backend.ts";
import { limited } from "../limited.ts";
import { createTurns } from "../turns.ts";
import type { Connection } from "./connection.ts";
import type { ZookeeperFollow } from "./follow.ts";
import { type Connector, createSessionLink, isLost } from "./session.ts";

/**
 * The ephemeral node `<root>/locks/<name>`, which holds the name of its holder. Whoever creates it has the lock; the
 * token is the transaction that created it.
 */
export function createZookeeperLock(
  connect: Connector,
  follow: ZookeeperFollow,
  root: string,
  { name, contender }: { readonly name: string; readonly contender: string },
): Lock {
  const path = `${root}/locks/${encodeSegment(name)}`;
  const lost = () => new PortolanError("LEASE_LOST", `the session of lock ${name} is gone`);
  const link = createSessionLink(connect, { lost, renewed: true });
  const inTurn = createTurns();
  const call = <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> =>
    limited(
      signal,
      () => inTurn(work),
      (error) => coded("BACKEND_UNREACHABLE", error),
    );

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
    renew: (signal) =>
      call(signal, async () => {
        try {
          return await contend(link.current() ? await link.attach() : await link.begin());
        } catch (error) {
          // What expired on the way has released the lock: the next session contends like any other.
          if (!isLost(error)) throw error;
          link.forget();
          return contend(await link.begin());
        }
      }),

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

    release: (signal) =>
      call(signal, async () => {
        if (!link.current()) return;
        try {
          await (await link.attach()).end();
        } catch (error) {
          if (!isLost(error)) throw error;
        }
        link.forget();
      }),
  };
}
