import { encodeSegment } from "../../instance.ts";
import { createCell } from "../../source.ts";
import type { Lock, Tenure } from "../backend.ts";
import type { EtcdClient } from "./client.ts";
import type { Follow } from "./follow.ts";
import { entriesOf } from "./node.ts";
import { createOwnLease } from "./own-lease.ts";
import { op, when } from "./txn.ts";

/**
 * The key `<root>/locks/<name>`, which hangs on a lease of its holder and holds its name. Whoever creates it has the
 * lock; the token is the store's revision at that moment, which only grows.
 */
export function createEtcdLock(
  client: EtcdClient,
  root: string,
  follow: Follow,
  { name, contender, ttl }: { readonly name: string; readonly contender: string; readonly ttl: number },
): Lock {
  const key = `${root}/locks/${encodeSegment(name)}`;
  const lease = createOwnLease(client, ttl);
  /** Of the lock as we hold it. */
  let token: string | undefined;

  const beat = async (signal: AbortSignal): Promise<Tenure | undefined> => {
    const id = lease.current();
    if (token === undefined || id === undefined) return undefined;
    // The lease may live while somebody has deleted the key.
    const [seconds, stands] = await Promise.all([
      lease.beat(signal),
      client.txn([when.held(key, id)], [], [], signal),
    ]);
    if (seconds > 0 && stands.succeeded) return { held: true, token, ttl: seconds };
    token = undefined;
    return undefined;
  };

  return {
    async renew(signal) {
      const still = await beat(signal);
      if (still) return still;
      for (;;) {
        // Looked at first, so that those who wait take no leases.
        const [holder] = entriesOf(await client.txn([], [op.get(key)], [], signal));
        if (holder && holder.lease !== lease.current()) return { held: false, holder: holder.text };
        const { id, ttl: seconds } = await lease.take(signal);
        // What is ours without our knowing, because its answer was lost, has its token from then.
        if (holder) await client.txn([when.held(key, id)], [op.remove(key)], [], signal);
        const taken = await client.txn([when.absent(key)], [op.put(key, contender, id)], [], signal);
        if (!taken.succeeded) continue;
        token = taken.header.revision;
        return { held: true, token, ttl: seconds };
      }
    },

    watch() {
      const cell = createCell<string | undefined>();
      let holder: string | undefined;
      const following = follow(key, {
        replace(entries) {
          holder = [...entries][0]?.[1];
        },
        put(_key, text) {
          holder = text;
        },
        delete() {
          holder = undefined;
        },
        publish: () => cell.set(holder),
        fail: cell.fail,
      });
      const { current, subscribe } = cell;
      return {
        current,
        subscribe,
        refresh: following.refresh,
        close: async () => following.stop(),
      };
    },

    async release(signal) {
      token = undefined;
      await lease.end(signal);
    },
  };
}
