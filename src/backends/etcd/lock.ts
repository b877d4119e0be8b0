import { encodeSegment } from "../../instance.ts";
import { createCell } from "../../source.ts";
import type { Lock, Tenure } from "../backend.ts";
import { createSuccession } from "../succession.ts";
import type { EtcdClient } from "./client.ts";
import type { Follow } from "./follow.ts";
import { entriesOf } from "./node.ts";
import { createOwnLease } from "./own-lease.ts";
import { op, when } from "./txn.ts";

/**
 * The key `<root>/locks/<name>`, which hangs on a lease of its holder and holds its name. Whoever creates it, or
 * writes it over the holding of the same contender's earlier process, has the lock; the token is the store's revision at
 * that moment, which only grows.
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
  const succession = createSuccession(contender);

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

  const take = async (signal: AbortSignal): Promise<Tenure> => {
    for (;;) {
      // Looked at first, so that those who wait take no leases.
      const [holder] = entriesOf(await client.txn([], [op.get(key)], [], signal));
      const isOurs = holder !== undefined && holder.lease === lease.current();
      if (holder && !isOurs && !succession.takesFrom(holder.text))
        return { held: false, holder: holder.text };
      const { id, ttl: seconds } = await lease.take(signal);
      if (!isOurs) succession.takes(holder?.revision);
      // Written once more where it is ours without our knowing, because the answer was lost: with a token that we know.
      const asSeen = [when.unmodified(key, holder?.revision ?? "0")];
      const taken = await client.txn(asSeen, [op.put(key, contender, id)], [], signal);
      if (!taken.succeeded) continue;
      token = taken.header.revision;
      return { held: true, token, ttl: seconds };
    }
  };

  return {
    renew: async (signal) => succession.answer((await beat(signal)) ?? (await take(signal))),

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
