import type { HeldNote } from "../backend.ts";
import type { EtcdClient } from "./client.ts";
import { entriesOf } from "./node.ts";
import { createOwnLease } from "./own-lease.ts";
import { op, when } from "./txn.ts";

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

/** Exchanges a note that hangs on no lease. */
export async function exchangeEtcdNote(
  client: EtcdClient,
  key: string,
  before: string | undefined,
  after: string | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const stands = before === undefined ? when.absent(key) : when.text(key, before);
  const change = after === undefined ? op.remove(key) : op.put(key, after, "0");
  return (await client.txn([stands], [change], [], signal)).succeeded;
}
