import { PortolanError } from "../../errors.ts";
import { encodeSegment } from "../../instance.ts";
import { type Owner, ownerText } from "../backend.ts";
import type { ConsulApi } from "../consul/api.ts";
import { sessionTtl } from "../consul/session.ts";
import { type Claim, decodeClaim, encodeClaim, type Listing, listingOver } from "../layouts/claim.ts";
import { assertFree } from "../layouts/free.ts";
import type { ListedLayout } from "../layouts/layout.ts";
import type { ListedStore } from "../layouts/listed-store.ts";
import { indexesOf, type KvEntry, operationsOfKey, putKey, readKeys, removeKey } from "./keys.ts";

/** What a write of a key must meet. */
type At = Pick<KvEntry, "index" | "session">;

/** How often a claim is tried that others may change at the same time. */
const patience = 20;
/** Consul takes 64 operations in a transaction; the node's own key needs some of them. */
const batch = Math.floor(64 / operationsOfKey) - 1;

/**
 * How Consul's KV store holds the keys of an owner that lists them: all by one session, at whose end they are
 * deleted, list and keys in one transaction. The session has no lock delay, so that the next run takes over at
 * once, and no checks: an agent that restarts takes nothing with it. Consul ends a session when it was silent for
 * between one and two times its time to live; so half of what was asked for is given to it, where that is enough.
 */
export function createConsulkvListed(
  api: ConsulApi,
  layout: ListedLayout,
  owner: Owner,
  ttl: number,
  inherits?: string,
): ListedStore<At> {
  const mine = ownerText(owner);
  const claimed = { owner: mine, run: owner.run };
  const place = `${layout.root}/nodes/${encodeSegment(owner.node)}`;
  const kept = ttl === 0;
  const granted = sessionTtl(ttl / 2);

  /** Of the claim in force; no session where it is kept for ever. */
  let current: { readonly session: string | undefined } | undefined;
  /** Of the node's key, as we left it. */
  let index = 0;
  /** Whether this run ever held the node: only then is another run of the same owner a newer one. */
  let held = false;
  let taken = false;
  /** Sessions to be ended once nothing that counts hangs on them. */
  const outdated = new Set<string>();
  /** Every session of ours. */
  const begun = new Set<string>();
  /** One with which a claim failed. What did not answer may have claimed all the same. */
  let spare: string | undefined;

  const lost = () => new PortolanError("LEASE_LOST", `the session of node ${owner.node} is gone; renew it`);
  const drop = () => {
    if (current?.session !== undefined) outdated.add(current.session);
    current = undefined;
    return lost();
  };

  const readNode = async (signal: AbortSignal) =>
    (await readKeys(api, place, signal)).find(({ key }) => key === place);

  const checkFree = ({ session, text }: KvEntry): Claim | undefined => {
    const found = decodeClaim(text, place);
    if (session !== undefined && begun.has(session)) return found;
    if (session !== undefined && found?.owner === mine && found.run === owner.run) {
      const why =
        "this registrator holds it below another prefix; one host writes below one prefix of a Consul";
      throw new PortolanError("NODE_TAKEN", `node ${owner.node}: ${why}`);
    }
    assertFree({ place, living: session !== undefined, claim: found }, owner, held, inherits);
    return found;
  };

  const beat = async (signal: AbortSignal): Promise<boolean> => {
    if (!current) return false;
    if (current.session !== undefined) {
      if (await api.renewSession(current.session, signal)) return true;
    } else {
      const holder = await readNode(signal);
      if (holder) checkFree(holder);
      if (holder && holder.session === undefined) return true;
    }
    current = undefined;
    return false;
  };

  const begin = async (signal: AbortSignal): Promise<string> => {
    if (spare !== undefined && (await api.renewSession(spare, signal))) return spare;
    const session = await api.beginSession(`portolan:${owner.node}`, granted, signal);
    begun.add(session);
    spare = session;
    return session;
  };

  const claim = async (listing: Listing, signal: AbortSignal): Promise<void> => {
    for (let attempt = 0; attempt < patience; attempt += 1) {
      const holder = await readNode(signal);
      const before = holder && checkFree(holder);
      const session = kept ? undefined : await begin(signal);
      const list = listingOver(before, mine, inherits, listing);
      const answer = await api.transaction(
        putKey(place, encodeClaim(claimed, list), holder, session),
        signal,
      );
      if (answer !== undefined) {
        if (holder?.session !== undefined && holder.session !== session) outdated.add(holder.session);
        spare = undefined;
        index = indexesOf(answer).get(place) ?? 0;
        current = { session };
        held = true;
        taken = true;
        return;
      }
      // Somebody else changed the node's key meanwhile: look again whose it is.
    }
    throw new PortolanError("BACKEND_UNREACHABLE", `${place} changes all the time; trying later`);
  };

  const settle = async (signal: AbortSignal) => {
    for (const session of outdated) {
      await api.endSession(session, signal);
      outdated.delete(session);
      begun.delete(session);
    }
    taken = false;
  };

  return {
    batch,
    kept,
    place,

    async hold(listing, signal) {
      if (!(await beat(signal))) await claim(listing, signal);
      return { ttl: kept ? 0 : granted, taken };
    },

    settle,

    async own(signal) {
      if (!current) throw lost();
      const holder = await readNode(signal);
      if (!holder || holder.session !== current.session) throw drop();
      const found = decodeClaim(holder.text, place);
      if (found?.owner !== mine) throw drop();
      index = holder.index;
      return found.records;
    },

    async keys(signal) {
      const entries = await readKeys(api, `${layout.services}/`, signal);
      return entries.map((entry) => ({ key: entry.key, text: entry.text, at: entry }));
    },

    async lists(signal) {
      const entries = await readKeys(api, `${layout.root}/nodes/`, signal);
      return entries.flatMap(({ key, text }) => {
        const found = decodeClaim(text, key);
        return found ? [{ place: key, owner: found.owner, records: found.records }] : [];
      });
    },

    async commit(listing, changes, signal) {
      if (!current) throw lost();
      const { session } = current;
      const answer = await api.transaction(
        [
          ...putKey(place, encodeClaim(claimed, listing), { index, session }, session),
          ...changes.flatMap(({ key, text, found }) => {
            if (text !== undefined) return putKey(key, text, found?.at, session);
            return found ? removeKey(key, found.at) : [];
          }),
        ],
        signal,
      );
      if (answer === undefined) {
        const holder = await readNode(signal);
        if (!holder || holder.session !== session) throw drop();
        return undefined;
      }
      const indexes = indexesOf(answer);
      index = indexes.get(place) ?? 0;
      return changes.flatMap(({ key, text }) =>
        text === undefined ? [] : { key, text, at: { index: indexes.get(key) ?? 0, session } },
      );
    },

    async release(signal) {
      if (!current) return;
      if (kept) await api.transaction(removeKey(place, { index }), signal);
      drop();
      await settle(signal);
    },
  };
}
