import { PortolanError } from "../errors.ts";
import {
  decodeInstance,
  encodeInstance,
  encodeSegment,
  type Instance,
  type InstanceRef,
} from "../instance.ts";
import { type Lease, type Owner, ownerText } from "./backend.ts";
import { type EtcdAnswer, type EtcdClient, type EtcdEntry, entryOf } from "./etcd-client.ts";
import { op, when } from "./etcd-txn.ts";

/** Records moved in one transaction. The server takes 128 operations, and counts a nested one twice. */
const batch = 100;

/**
 * One etcd lease for all records of a host. `nodes/<node>` hangs on it and names its run; every write is a
 * transaction that compares this key's lease with ours, so that a run which was replaced cannot write any
 * more from the very moment its successor claimed the key.
 */
export function createEtcdLease(client: EtcdClient, root: string, owner: Owner, ttl: number): Lease {
  const mine = ownerText(owner);
  const services = `${root}/services/`;
  const node = `${root}/nodes/${encodeSegment(owner.node)}`;
  const keyOf = (ref: InstanceRef) => `${services}${encodeSegment(ref.service)}/${encodeSegment(ref.id)}`;

  let current: { readonly id: string; readonly ttl: number } | undefined;
  /** Whether this run ever held the node: only then is another run of the same owner a newer one. */
  let held = false;
  /** Whether `renew` has told of the current lease. */
  let told = false;
  /** Earlier leases of this owner, to be revoked once nothing that counts hangs on them. */
  const outdated = new Set<string>();

  const lost = () => new PortolanError("LEASE_LOST", `the lease of node ${owner.node} is gone; renew it`);
  const theLease = () => {
    if (!current) throw lost();
    return current.id;
  };
  /** The node key hangs on another lease or is gone: whatever became of our lease, it is worth nothing. */
  const drop = (lease: string) => {
    if (current?.id === lease) current = undefined;
    outdated.add(lease);
    return lost();
  };

  const revokeOutdated = async (signal: AbortSignal) => {
    for (const lease of outdated) {
      await client.revoke(lease, signal);
      outdated.delete(lease);
    }
  };

  /** Claims the node under a new lease and moves the owner's records there. */
  const take = async (signal: AbortSignal) => {
    for (;;) {
      const [holder] = entriesOf(await client.txn([], [op.get(node)], [], signal));
      assertFree(holder);
      const granted = await client.grant(ttl, signal);
      const claim = JSON.stringify({ owner: mine, run: owner.run, lease: BigInt(granted.id).toString(16) });
      // The records are listed by the claim itself: no earlier run writes any after it.
      const claimed = await client.txn(
        [when.unmodified(node, holder?.revision ?? "0")],
        [op.put(node, claim, granted.id), op.list(services)],
        [],
        signal,
      );
      if (claimed.succeeded) {
        held = true;
        if (holder && holder.lease !== "0") outdated.add(holder.lease);
        const records = entriesOf(claimed, 1).filter((entry) => ownerOf(entry) === mine);
        if (await move(records, granted.id, signal)) {
          told = false;
          return granted;
        }
      }
      // Somebody else changed the node key meanwhile: look again whose it is.
      outdated.add(granted.id);
    }
  };

  /** Hangs records on the lease, as long as they are what was read. False once the node is not ours. */
  const move = async (records: readonly EtcdEntry[], lease: string, signal: AbortSignal) => {
    for (let at = 0; at < records.length; at += batch) {
      const moves = records
        .slice(at, at + batch)
        .map(({ key, revision }) => op.txn([when.unmodified(key, revision)], [op.move(key, lease)], []));
      const moved = await client.txn([when.held(node, lease)], moves, [], signal);
      if (!moved.succeeded) return false;
    }
    return true;
  };

  const assertFree = (holder: EtcdEntry | undefined) => {
    // A key without a lease was put there by hand: nobody keeps it alive.
    if (!holder || holder.lease === "0") return;
    const claim = claimOf(holder.text);
    if (claim?.owner !== mine) {
      const other = claim?.owner ?? `an unreadable record at ${node}`;
      throw new PortolanError("NODE_TAKEN", `node ${owner.node} belongs to ${other}, whose lease lives`);
    }
    if (held && claim.run !== owner.run) {
      throw new PortolanError("SUPERSEDED", `node ${owner.node} was taken over by run ${claim.run}`);
    }
  };

  /**
   * Applies one write to one key, and never to another owner's record. A missing key and one that hangs on
   * our lease, the ordinary cases, take one round trip.
   */
  const write = async (ref: InstanceRef, action: ReturnType<typeof op.put>, signal: AbortSignal) => {
    const lease = theLease();
    const key = keyOf(ref);
    const ordinary = op.txn(
      [when.held(key, lease)],
      [action],
      [op.txn([when.absent(key)], [action], [op.get(key)])],
    );
    let attempt = ordinary;
    for (;;) {
      const answer = await client.txn([when.held(node, lease)], [attempt], [], signal);
      if (!answer.succeeded) throw drop(lease);
      const last = innermost(answer);
      if (last.succeeded) return;
      const [found] = entriesOf(last);
      const other = found && ownerOf(found);
      if (other !== undefined && other !== mine) {
        throw new PortolanError("NOT_OWNER", `record ${ref.id} belongs to ${other}; it was left alone`);
      }
      // Ours under another lease, or nobody's: replaced as long as it is still what was read.
      attempt = found ? op.txn([when.unmodified(key, found.revision)], [action], [op.get(key)]) : ordinary;
    }
  };

  return {
    async renew(signal) {
      const seconds = current ? await client.keepAlive(current.id, signal) : 0;
      const lease = current && seconds > 0 ? { id: current.id, ttl: seconds } : await take(signal);
      current = lease;
      await revokeOutdated(signal);
      const fresh = !told;
      told = true;
      return { ttl: lease.ttl, fresh };
    },

    async register(instance, signal) {
      await write(instance, op.put(keyOf(instance), encodeInstance(instance), theLease()), signal);
      return { leftOut: [] };
    },

    async deregister(ref, signal) {
      await write(ref, op.remove(keyOf(ref)), signal);
    },

    async owned(signal) {
      const { entries } = await client.list(services, signal);
      return entries.flatMap((entry) => readable(entry) ?? []).filter((instance) => instance.owner === mine);
    },

    async release(signal) {
      if (current) outdated.add(current.id);
      current = undefined;
      await revokeOutdated(signal);
    },
  };
}

/** The keys that the read at `at` among the operations of a transaction found. */
function entriesOf(answer: EtcdAnswer, at = 0): readonly EtcdEntry[] {
  return answer.responses[at]?.response_range?.kvs.map(entryOf) ?? [];
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

const ownerOf = (entry: EtcdEntry) => readable(entry)?.owner;

/** Who holds a node; undefined when it is written in a way that is not ours. */
function claimOf(text: string): { readonly owner: string; readonly run: string } | undefined {
  try {
    const { owner, run } = JSON.parse(text) as Record<string, unknown>;
    return typeof owner === "string" && typeof run === "string" ? { owner, run } : undefined;
  } catch {
    return undefined;
  }
}
