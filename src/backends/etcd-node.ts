import type { ICompare } from "etcd3";
import { PortolanError } from "../errors.ts";
import { encodeSegment } from "../instance.ts";
import { type Owner, ownerText, type Renewal } from "./backend.ts";
import { type EtcdAnswer, type EtcdClient, type EtcdEntry, entryOf } from "./etcd-client.ts";
import { op, when } from "./etcd-txn.ts";
import { type Claim, decodeClaim, encodeClaim, type Listing } from "./layouts/claim.ts";
import { assertFree, type Holder } from "./layouts/free.ts";

/** What a key without a lease hangs on. */
export const noLease = "0";

/** What a claim found: the keys that stood at the very moment of it. */
export interface Found {
  readonly keys: readonly EtcdEntry[];
  /** The revision of the node's key now. */
  readonly revision: string;
}

/** `nodes/<node>` as one run holds it, and the lease under which it and the records are. */
export interface EtcdNode {
  readonly key: string;
  /** The time to live is 0: nothing hangs on a lease. */
  readonly kept: boolean;
  /** Whether the node is claimed, as far as is known. */
  held(): boolean;
  /** The lease to write under. Throws LEASE_LOST when there is none. */
  lease(): string;
  /** What holds as long as the node is ours. */
  guard(lease: string): readonly ICompare[];
  /** The node's key is not as it should be: forgets the lease. Returns LEASE_LOST. */
  drop(lease: string): PortolanError;
  /**
   * Beats once or claims the node: with what `listing` returns, given the claim before. `move` then hangs
   * what the owner has on the lease: false when the node was lost meanwhile.
   */
  hold(
    signal: AbortSignal,
    listing: (before: Claim | undefined) => Listing | undefined,
    move: (found: Found, lease: string) => Promise<boolean>,
  ): Promise<Renewal>;
  /** Ends the leases of before: nothing that counts hangs on them any more. */
  settle(signal: AbortSignal): Promise<void>;
  /** Ends the lease, or removes the key where there is none. */
  release(signal: AbortSignal): Promise<void>;
}

/**
 * One etcd lease for all that a host writes. `nodes/<node>` hangs on it and names its run; every write is a
 * transaction that looks at this key, so that a run which was replaced cannot write any more from the very moment
 * its successor claimed the key. With a `ttl` of 0 there is no lease, and the claim stays.
 */
export function createEtcdNode(
  client: EtcdClient,
  { root, services }: { readonly root: string; readonly services: string },
  owner: Owner,
  ttl: number,
): EtcdNode {
  const mine = ownerText(owner);
  const key = `${root}/nodes/${encodeSegment(owner.node)}`;
  const kept = ttl === 0;

  let current: { readonly id: string; readonly ttl: number } | undefined;
  /** Whether this run ever held the node: only then is another run of the same owner a newer one. */
  let held = false;
  /** Whether `hold` has told of the current lease. */
  let told = false;
  /** Earlier leases of this owner, to be revoked once nothing that counts hangs on them. */
  const outdated = new Set<string>();

  const lost = () => new PortolanError("LEASE_LOST", `the lease of node ${owner.node} is gone; renew it`);
  const guard = (lease: string) => (kept ? when.kept(key) : [when.held(key, lease)]);

  const settle = async (signal: AbortSignal) => {
    for (const lease of outdated) {
      if (lease !== noLease) await client.revoke(lease, signal);
      outdated.delete(lease);
    }
  };

  const holderOf = ({ lease, text }: EtcdEntry): Holder => ({
    place: key,
    living: lease !== noLease,
    claim: decodeClaim(text, key),
  });

  /** Whether the claim without a lease still stands, whichever run of ours wrote it. */
  const stands = async (signal: AbortSignal) => {
    const [holder] = entriesOf(await client.txn([], [op.get(key)], [], signal));
    if (!holder) return false;
    assertFree(holderOf(holder), owner, held);
    return holder.lease === noLease;
  };

  return {
    key,
    kept,
    held: () => current !== undefined,
    guard,
    lease() {
      if (!current) throw lost();
      return current.id;
    },
    drop(lease) {
      if (current?.id === lease) current = undefined;
      outdated.add(lease);
      return lost();
    },

    async hold(signal, listing, move) {
      const beat = async () => {
        if (!current) return 0;
        if (kept) return (await stands(signal)) ? 1 : 0;
        return client.keepAlive(current.id, signal);
      };
      const seconds = await beat();
      let next = current && seconds > 0 ? { id: current.id, ttl: kept ? 0 : seconds } : undefined;
      while (!next) {
        const [holder] = entriesOf(await client.txn([], [op.get(key)], [], signal));
        const before = holder && holderOf(holder);
        if (before) assertFree(before, owner, held);
        const granted = kept ? { id: noLease, ttl: 0 } : await client.grant(ttl, signal);
        const more: Record<string, string> = kept ? {} : { lease: BigInt(granted.id).toString(16) };
        const claim = encodeClaim({ owner: mine, run: owner.run }, listing(before?.claim), more);
        // The keys are listed by the claim itself: no earlier run writes any after it.
        const claimed = await client.txn(
          [when.unmodified(key, holder?.revision ?? "0")],
          [op.put(key, claim, granted.id), op.list(`${services}/`)],
          [],
          signal,
        );
        if (claimed.succeeded) {
          held = true;
          if (holder) outdated.add(holder.lease);
          const found = { keys: entriesOf(claimed, 1), revision: claimed.header.revision };
          if (await move(found, granted.id)) {
            told = false;
            next = granted;
          }
        }
        // Somebody else changed the node key meanwhile: look again whose it is.
        if (!next) outdated.add(granted.id);
      }
      current = next;
      const fresh = !told;
      told = true;
      return { ttl: next.ttl, fresh };
    },

    settle,

    async release(signal) {
      if (current && kept) await client.txn(when.kept(key), [op.remove(key)], [], signal);
      if (current) outdated.add(current.id);
      current = undefined;
      await settle(signal);
    },
  };
}

/** The keys that the read at `at` among the operations of a transaction found. */
export function entriesOf(answer: EtcdAnswer, at = 0): readonly EtcdEntry[] {
  return answer.responses[at]?.response_range?.kvs.map(entryOf) ?? [];
}
