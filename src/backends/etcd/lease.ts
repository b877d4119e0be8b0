import type { IRequestOp } from "etcd3";
import { compare, decodeInstance, encodeInstance, type Instance, type InstanceRef } from "../../instance.ts";
import { type Lease, type LeaseOptions, type Owner, ownerText } from "../backend.ts";
import type { RecordLayout } from "../layouts/layout.ts";
import { assertOurs, fateOf } from "../layouts/ownership.ts";
import type { EtcdAnswer, EtcdClient, EtcdEntry } from "./client.ts";
import { createJoinedTxns } from "./joined.ts";
import { createEtcdNode, entriesOf } from "./node.ts";
import { op, when } from "./txn.ts";

/** Records moved in one transaction. The server takes 128 operations, and counts a nested one twice. */
const batch = 100;

/**
 * The lease of an owner whose name stands in each of its records. Every write is one transaction with the look at
 * the node that `createEtcdNode` asks for.
 */
export function createEtcdLease(
  client: EtcdClient,
  layout: RecordLayout,
  owner: Owner,
  ttl: number,
  { adopt, inherits }: LeaseOptions = {},
): Lease {
  const mine = ownerText(owner);
  const { keyOf } = layout;
  const node = createEtcdNode(client, layout, owner, ttl, inherits);
  const txns = createJoinedTxns(client, node.guard);

  /** Whether the owner in a text may be of our node: most are not, and of those no more is read. */
  const mayConcern = ({ text }: EtcdEntry) => text.includes(owner.node) || text.includes("\\");

  /** What has to be done about a record when the node is taken. */
  const taking = (entry: EtcdEntry, lease: string): readonly IRequestOp[] => {
    const { key, revision } = entry;
    if (!mayConcern(entry)) return [];
    const record = readable(entry);
    const fate = record && fateOf(record, owner, inherits);
    if (!fate) return [];
    const own = record.owner === mine;
    const action = own ? op.move(key, lease) : op.put(key, encodeInstance({ ...record, owner: mine }), lease);
    return [op.txn([when.unmodified(key, revision)], [fate === "ours" ? action : op.remove(key)], [])];
  };

  /**
   * Hangs own and inherited records on the lease and removes what an engine before us left, as long as they are
   * what was read. False once the node is not ours.
   */
  const take = async (records: readonly EtcdEntry[], lease: string, signal: AbortSignal) => {
    const all = records.flatMap((entry) => taking(entry, lease));
    for (let at = 0; at < all.length; at += batch) {
      const taken = await client.txn(node.guard(lease), all.slice(at, at + batch), [], signal);
      if (!taken.succeeded) return false;
    }
    return true;
  };

  /**
   * Applies one write to one key, and never to another owner's record. A missing key and one that hangs on
   * our lease, the ordinary cases, take one round trip.
   */
  const write = async (ref: InstanceRef, action: ReturnType<typeof op.put>, signal: AbortSignal) => {
    const lease = node.lease();
    const key = keyOf(ref);
    const create = op.txn([when.absent(key)], [action], [op.get(key)]);
    // A key without a lease may be anybody's.
    const ordinary = node.kept ? create : op.txn([when.held(key, lease)], [action], [create]);
    let attempt = ordinary;
    for (;;) {
      const answer = await txns.run({ key, operation: attempt, lease }, signal);
      if (!answer.succeeded) {
        await node.assertHeld(lease, signal);
        continue;
      }
      const last = innermost(answer);
      if (last.succeeded) return;
      const [found] = entriesOf(last);
      const there = found && readable(found);
      if (there) assertOurs(there, owner, adopt ?? (() => false));
      // Ours under another lease, adopted or unreadable: replaced as long as it is still what was read.
      attempt = found ? op.txn([when.unmodified(key, found.revision)], [action], [op.get(key)]) : ordinary;
    }
  };

  /** Own records, and what nobody owns where that may be adopted. */
  const list = async (signal: AbortSignal) => {
    const { entries } = await client.list(`${layout.services}/`, signal);
    return entries.flatMap((entry) => (adopt || mayConcern(entry) ? (readable(entry) ?? []) : []));
  };

  /**
   * The records that hang on the lease, as all of ours do: among those of a thousand hosts they are not looked for.
   * Undefined where that takes more than one transaction.
   */
  const leased = async (signal: AbortSignal) => {
    const keys = await client.keysOf(node.lease(), signal);
    const records = keys.filter((key) => key.startsWith(`${layout.services}/`)).sort(compare);
    if (records.length > batch) return undefined;
    if (records.length === 0) return [];
    const answer = await client.txn([], records.map(op.get), [], signal);
    return records.flatMap((_, at) => entriesOf(answer, at).flatMap((entry) => readable(entry) ?? []));
  };

  return {
    async renew(signal) {
      const renewal = await node.hold(
        signal,
        () => undefined,
        ({ keys }, lease) => take(keys, lease, signal),
      );
      await node.settle(signal);
      return renewal;
    },

    async register(instance, signal) {
      await write(instance, op.put(keyOf(instance), encodeInstance(instance), node.lease()), signal);
      return { leftOut: [] };
    },

    async deregister(ref, signal) {
      await write(ref, op.remove(keyOf(ref)), signal);
    },

    async owned(signal) {
      const known = node.kept || adopt || !node.held() ? undefined : await leased(signal);
      return (known ?? (await list(signal))).filter(
        ({ owner: of, id }) => of === mine || (of === undefined && adopt?.(id) === true),
      );
    },

    async release(signal) {
      if (node.kept && node.held()) {
        const own = (await list(signal)).filter((instance) => instance.owner === mine);
        for (const instance of own) await write(instance, op.remove(keyOf(instance)), signal);
      }
      await node.release(signal);
    },
  };
}

/** The branch that was taken in the end: it succeeded if it wrote. */
function innermost(answer: EtcdAnswer): EtcdAnswer {
  const nested = answer.responses[0]?.response_txn;
  return nested ? innermost(nested) : answer;
}

function readable(entry: EtcdEntry): Instance | undefined {
  try {
    return decodeInstance(entry.text, entry.key);
  } catch {
    return undefined;
  }
}
