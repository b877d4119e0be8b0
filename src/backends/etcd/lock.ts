import { encodeSegment } from "../../instance.ts";
import { createCell } from "../../source.ts";
import type { Lock, Tenure } from "../backend.ts";
import type { EtcdClient } from "./client.ts";
import type { Follow } from "./follow.ts";
import { entriesOf } from "./node.ts";
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
  let held: { readonly lease: string; readonly token: string } | undefined;
  /** Granted, but not used yet: a try that fails leaves no other one behind. */
  let spare: string | undefined;

  const beat = async (signal: AbortSignal): Promise<Tenure | undefined> => {
    if (!held) return undefined;
    const { lease, token } = held;
    // The lease may live while somebody has deleted the key.
    const [seconds, stands] = await Promise.all([
      client.keepAlive(lease, signal),
      client.txn([when.held(key, lease)], [], [], signal),
    ]);
    if (seconds > 0 && stands.succeeded) return { held: true, token, ttl: seconds };
    held = undefined;
    if (seconds > 0) spare = lease;
    return undefined;
  };

  const grant = async (signal: AbortSignal) => {
    const seconds = spare === undefined ? 0 : await client.keepAlive(spare, signal);
    if (spare !== undefined && seconds > 0) return { id: spare, ttl: seconds };
    const granted = await client.grant(ttl, signal);
    spare = granted.id;
    return granted;
  };

  return {
    async renew(signal) {
      const still = await beat(signal);
      if (still) return still;
      for (;;) {
        // Looked at first, so that those who wait take no leases.
        const [holder] = entriesOf(await client.txn([], [op.get(key)], [], signal));
        if (holder && holder.lease !== spare) return { held: false, holder: holder.text };
        const { id: lease, ttl: seconds } = await grant(signal);
        // What is ours without our knowing, because its answer was lost, has its token from then.
        if (holder) await client.txn([when.held(key, lease)], [op.remove(key)], [], signal);
        const taken = await client.txn([when.absent(key)], [op.put(key, contender, lease)], [], signal);
        if (!taken.succeeded) continue;
        held = { lease, token: taken.header.revision };
        spare = undefined;
        return { held: true, token: held.token, ttl: seconds };
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
      const leases = [held?.lease, spare].filter((lease) => lease !== undefined);
      held = undefined;
      spare = undefined;
      for (const lease of leases) await client.revoke(lease, signal);
    },
  };
}
