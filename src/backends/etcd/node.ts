import type { ICompare } from "etcd3";
import { PortolanError } from "../../errors.ts";
import { encodeSegment } from "../../instance.ts";
import { type Owner, ownerText, type Renewal } from "../backend.ts";
import { type Claim, decodeClaim, encodeClaim, type Listing } from "../layouts/claim.ts";
import { assertFree, type Holder } from "../layouts/free.ts";
import { type EtcdAnswer, type EtcdClient, type EtcdEntry, entryOf } from "./client.ts";
import { op, when } from "./txn.ts";

/** What a key without a lease hangs on. */
export const noLease = "0";

/** A lease, and the seconds that it has. */
interface Granted {
  readonly id: string;
  readonly ttl: number;
}

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
   * Why the guard did not hold. Resolves when the node is ours all the same: where no lease tells whose it is, another
   * silent run of ours may have written it. Else forgets the lease and rejects with LEASE_LOST.
   */
  assertHeld(lease: string, signal: AbortSignal): Promise<void>;
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
 * its successor claimed the key. With a `ttl` of 0 there is no lease, and the claim stays: its last write tells
 * that it is still the same one.
 */
export function createEtcdNode(
  client: EtcdClient,
  { root, services }: { readonly root: string; readonly services: string },
  owner: Owner,
  ttl: number,
  inherits?: string,
): EtcdNode {
  const mine = ownerText(owner);
  const key = `${root}/nodes/${encodeSegment(owner.node)}`;
  const kept = ttl === 0;

  /** The lease in force. */
  let current: Granted | undefined;
  /** Granted, but not in force: the claim or the move did not come to its end. */
  let spare: Granted | undefined;
  /** The last write of the node's key that is known to be ours. */
  let revision = "0";
  /** Whether this run ever held the node: only then is another run of the same owner a newer one. */
  let held = false;
  /** Whether `hold` has told of the lease in force. */
  let told = false;
  /** Leases of the same owner, to be revoked once nothing that counts hangs on them. */
  const outdated = new Set<string>();

  const lost = () => new PortolanError("LEASE_LOST", `the lease of node ${owner.node} is gone; renew it`);
  const drop = (lease: string) => {
    if (current?.id === lease) current = undefined;
    outdated.add(lease);
    return lost();
  };
  const guard = (lease: string) => [kept ? when.unmodified(key, revision) : when.held(key, lease)];

  const settle = async (signal: AbortSignal) => {
    for (const lease of outdated) {
      if (lease !== noLease) await client.revoke(lease, signal);
      outdated.delete(lease);
    }
  };

  const read = async (signal: AbortSignal) => entriesOf(await client.txn([], [op.get(key)], [], signal))[0];
  const holderOf = ({ lease, text }: EtcdEntry): Holder => ({
    place: key,
    living: lease !== noLease,
    claim: decodeClaim(text, key),
  });
  const checkFree = (holder: Holder) => assertFree(holder, owner, held, inherits);

  /** Whether a claim without a lease is ours, whichever run of ours wrote it. */
  const isKept = (entry: EtcdEntry | undefined): entry is EtcdEntry =>
    entry?.lease === noLease && decodeClaim(entry.text, key)?.owner === mine;

  /** Beats once, or looks whether the claim without a lease still stands. Answers the seconds of the lease. */
  const beat = async (signal: AbortSignal): Promise<number | undefined> => {
    if (!current) return undefined;
    if (!kept) return (await client.keepAlive(current.id, signal)) || undefined;
    const entry = await read(signal);
    if (entry) checkFree(holderOf(entry));
    if (!isKept(entry)) return undefined;
    revision = entry.revision;
    return 0;
  };

  /** A lease to claim with: first what an earlier try was granted, or each one that fails would leave one behind. */
  const grant = async (signal: AbortSignal): Promise<Granted> => {
    if (kept) return { id: noLease, ttl: 0 };
    if (!spare || (await client.keepAlive(spare.id, signal)) === 0) spare = await client.grant(ttl, signal);
    return spare;
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
    drop,

    async assertHeld(lease, signal) {
      const entry = kept ? await read(signal) : undefined;
      if (!isKept(entry)) throw drop(lease);
      revision = entry.revision;
    },

    async hold(signal, listing, move) {
      const seconds = await beat(signal);
      let next = current && seconds !== undefined ? { id: current.id, ttl: seconds } : undefined;
      while (!next) {
        const entry = await read(signal);
        const before = entry && holderOf(entry);
        if (before) checkFree(before);
        const granted = await grant(signal);
        const more: Record<string, string> = kept ? {} : { lease: BigInt(granted.id).toString(16) };
        const claim = encodeClaim({ owner: mine, run: owner.run }, listing(before?.claim), more);
        // The keys are listed by the claim itself: no earlier run writes any after it.
        const claimed = await client.txn(
          [when.unmodified(key, entry?.revision ?? "0")],
          [op.put(key, claim, granted.id), op.list(`${services}/`)],
          [],
          signal,
        );
        // Somebody else changed the node key meanwhile: look again whose it is.
        if (!claimed.succeeded) continue;
        held = true;
        revision = claimed.header.revision;
        if (entry && entry.lease !== granted.id) outdated.add(entry.lease);
        const found = { keys: entriesOf(claimed, 1), revision };
        if (!(await move(found, granted.id))) continue;
        told = false;
        spare = undefined;
        next = granted;
      }
      current = next;
      const fresh = !told;
      told = true;
      return { ttl: next.ttl, fresh };
    },

    settle,

    async release(signal) {
      while (current && kept) {
        const entry = await read(signal);
        if (!isKept(entry)) break;
        const gone = await client.txn([when.unmodified(key, entry.revision)], [op.remove(key)], [], signal);
        if (gone.succeeded) break;
      }
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
