import { type Owner, ownerText } from "../backend.ts";
import { decodeClaim, encodeClaim, listingOver } from "../layouts/claim.ts";
import type { ListedLayout } from "../layouts/layout.ts";
import type { ListedStore } from "../layouts/listed-store.ts";
import type { EtcdClient, EtcdEntry } from "./client.ts";
import { createEtcdNode, entriesOf } from "./node.ts";
import { op, when } from "./txn.ts";

/** The revision of a key's last write. */
type Revision = string;

/** How etcd holds the keys of an owner that lists them: all under the node's lease, list and keys in one write. */
export function createEtcdListed(
  client: EtcdClient,
  layout: ListedLayout,
  owner: Owner,
  ttl: number,
  inherits?: string,
): ListedStore<Revision> {
  const node = createEtcdNode(client, layout, owner, ttl, inherits);
  const claimed = { owner: ownerText(owner), run: owner.run };
  /** Of the node's key, as we left it. */
  let revision: Revision = "0";
  let taken = false;

  const found = ({ key, text, revision: at }: EtcdEntry) => ({ key, text, at });

  /** The node's key as it is. Throws LEASE_LOST when it is not held by us. */
  const own = async (signal: AbortSignal) => {
    const lease = node.lease();
    const [entry] = entriesOf(await client.txn([], [op.get(node.key)], [], signal));
    if (!entry || entry.lease !== lease) throw node.drop(lease);
    const claim = decodeClaim(entry.text, node.key);
    if (claim?.owner !== claimed.owner) throw node.drop(lease);
    revision = entry.revision;
    return claim.records;
  };

  return {
    // The server takes 128 operations in a transaction.
    batch: 100,
    place: node.key,
    kept: node.kept,

    async hold(listing, signal) {
      const { ttl: granted } = await node.hold(
        signal,
        (before) => listingOver(before, claimed.owner, inherits, listing),
        async ({ revision: at }) => {
          revision = at;
          taken = true;
          return true;
        },
      );
      return { ttl: granted, taken };
    },

    async settle(signal) {
      await node.settle(signal);
      taken = false;
    },

    own,

    async keys(signal) {
      return (await client.list(`${layout.services}/`, signal)).entries.map(found);
    },

    async lists(signal) {
      const prefix = `${layout.root}/nodes/`;
      const { entries } = await client.list(prefix, signal);
      return entries.flatMap(({ key, text }) => {
        const claim = decodeClaim(text, key);
        return claim ? { place: key, owner: claim.owner, records: claim.records } : [];
      });
    },

    async commit(listing, changes, signal) {
      const lease = node.lease();
      const more: Record<string, string> = node.kept ? {} : { lease: BigInt(lease).toString(16) };
      const answer = await client.txn(
        [
          when.unmodified(node.key, revision),
          ...changes.map(({ key, found: before }) => when.unmodified(key, before?.at ?? "0")),
        ],
        [
          op.put(node.key, encodeClaim(claimed, listing, more), lease),
          ...changes.map(({ key, text }) => (text === undefined ? op.remove(key) : op.put(key, text, lease))),
        ],
        [op.get(node.key)],
        signal,
      );
      if (answer.succeeded) {
        revision = answer.header.revision;
        const at = revision;
        return changes.flatMap(({ key, text }) => (text === undefined ? [] : { key, text, at }));
      }
      const [now] = entriesOf(answer);
      if (now?.lease !== lease) throw node.drop(lease);
      return undefined;
    },

    release: (signal) => node.release(signal),
  };
}
