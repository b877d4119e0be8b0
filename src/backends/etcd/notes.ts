import type { HeldNote } from "../backend.ts";
import type { EtcdClient } from "./client.ts";
import { entriesOf } from "./node.ts";
import { op } from "./txn.ts";

/** A note that hangs on a lease of its own. Whoever wrote it last has it: the end of another lease leaves it. */
export function holdEtcdNote(client: EtcdClient, key: string, ttl: number): HeldNote {
  let lease: string | undefined;
  /** Whether `renew` has told of the lease. */
  let told = false;

  const take = async (signal: AbortSignal): Promise<{ readonly id: string; readonly ttl: number }> => {
    const seconds = lease === undefined ? 0 : await client.keepAlive(lease, signal);
    if (lease !== undefined && seconds > 0) return { id: lease, ttl: seconds };
    told = false;
    const granted = await client.grant(ttl, signal);
    lease = granted.id;
    return granted;
  };

  return {
    async renew(text, signal) {
      const { id, ttl: seconds } = await take(signal);
      const [there] = entriesOf(await client.txn([], [op.get(key)], [], signal));
      if (there?.lease !== id || there.text !== text) {
        await client.txn([], [op.put(key, text, id)], [], signal);
      }
      const fresh = !told;
      told = true;
      return { ttl: seconds, fresh };
    },

    async release(signal) {
      if (lease !== undefined) await client.revoke(lease, signal);
      lease = undefined;
    },
  };
}
