import type { HeldNote } from "../backend.ts";
import type { EtcdClient } from "./client.ts";
import { entriesOf } from "./node.ts";
import { createOwnLease } from "./own-lease.ts";
import { op } from "./txn.ts";

/** A note that hangs on a lease of its own. Whoever wrote it last has it: the end of another lease leaves it. */
export function holdEtcdNote(client: EtcdClient, key: string, ttl: number): HeldNote {
  const lease = createOwnLease(client, ttl);
  /** The lease that `renew` has told of. */
  let told: string | undefined;

  return {
    async renew(text, signal) {
      const { id, ttl: seconds } = await lease.take(signal);
      const [there] = entriesOf(await client.txn([], [op.get(key)], [], signal));
      if (there?.lease !== id || there.text !== text) {
        await client.txn([], [op.put(key, text, id)], [], signal);
      }
      const fresh = told !== id;
      told = id;
      return { ttl: seconds, fresh };
    },

    release: lease.end,
  };
}
