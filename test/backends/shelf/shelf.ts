import type { Backend, Lease, LeaseOptions, Owner } from "../../../src/backends/backend.ts";
import { ownerText } from "../../../src/backends/backend.ts";
import { decodeClaim, encodeClaim } from "../../../src/backends/layouts/claim.ts";
import { assertFree } from "../../../src/backends/layouts/free.ts";
import { assertOurs, fateOf } from "../../../src/backends/layouts/ownership.ts";
import { portolanLayout } from "../../../src/backends/layouts/portolan.ts";
import { limited } from "../../../src/backends/limited.ts";
import { createObservers } from "../../../src/backends/observers.ts";
import { createRecords } from "../../../src/backends/records.ts";
import { createTurns } from "../../../src/backends/turns.ts";
import { coded, PortolanError } from "../../../src/errors.ts";
import { decodeInstance, encodeInstance, encodeSegment, type Instance } from "../../../src/instance.ts";

/** What is asked of the store: keys with texts, sessions that end by themselves, and writes that depend. */
export interface Store {
  /** Everything below a path, as it was at one moment. Rejects when the store is away. */
  read(path: string): Promise<ReadonlyMap<string, Found>>;
  /** Does all steps or none. False: a key is not at the version at which it was `seen`. */
  commit(steps: readonly Step[]): Promise<boolean>;
  /** Begins a session, which ends after `ttl` seconds without a beat, and with it all keys that hang on it. */
  begin(ttl: number): Promise<string>;
  /** False: there is no such session any more. */
  beat(session: string): Promise<boolean>;
  end(session: string): Promise<void>;
  /** Calls `changed` after each change and after each reconnect, until the returned function is called. */
  watch(changed: () => void): () => void;
}
export interface Found {
  readonly text: string;
  readonly version: number;
  readonly session: string | undefined;
}
/** Without `to` the key is only looked at; with `gone` it is removed. */
export interface Step {
  readonly key: string;
  readonly seen: number | undefined;
  readonly to?: { readonly text: string; readonly session: string | undefined } | "gone";
}

const layout = portolanLayout("");

/** A backend on such a store: `/services/<service>/<id>` holds the records, `/nodes/<node>` says who writes them. */
export function openShelf(store: Store, title: string): Backend {
  const records = createRecords();
  const inTurn = createTurns();
  let unwatch = () => {};
  // Read everything again after each change: events say when to look, never what there is. One read at a time,
  // so that no older one comes in after a newer one.
  const look = () =>
    void inTurn(async () => {
      try {
        const found = await store.read("/services/");
        records.replace([...found].map(([key, { text }]) => [key, text]));
        observers.publish();
      } catch (error) {
        // What is known stays, with the problem beside it: a read that failed is never an empty one.
        observers.fail({ kind: "unreachable", error: coded("BACKEND_UNREACHABLE", error, `${title}: `) });
      }
    });
  const observers = createObservers(records, {
    start() {
      unwatch = store.watch(look);
      look();
    },
    stop: () => unwatch(),
    refresh: look,
  });
  return {
    title,
    capabilities: { expiry: "session", checks: false },
    observe: observers.observe,
    lease: (owner, ttl, options) => shelfLease(store, owner, ttl, options),
    close: async () => observers.close(),
  };
}

function shelfLease(
  store: Store,
  owner: Owner,
  ttl: number,
  { adopt = () => false, inherits }: LeaseOptions = {},
): Lease {
  const mine = ownerText(owner);
  const node = `/nodes/${encodeSegment(owner.node)}`;
  /** Our claim as we left it; its version changes when anybody else claims the node. */
  let claim: { readonly version: number; readonly session: string | undefined } | undefined;
  let held = false;

  const call = <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> =>
    limited(signal, work, (error) => coded("BACKEND_UNREACHABLE", error));
  const lost = () => {
    claim = undefined;
    return new PortolanError("LEASE_LOST", `node ${owner.node} is not held any more; renew it`);
  };
  const claimed = () => {
    if (!claim) throw lost();
    return claim;
  };

  /** The node's claim in the store. Throws NODE_TAKEN and SUPERSEDED. */
  const readNode = async () => {
    const holder = (await store.read(node)).get(node);
    if (holder) {
      const living = holder.session !== undefined;
      assertFree({ place: node, living, claim: decodeClaim(holder.text, node) }, owner, held, inherits);
    }
    return holder;
  };

  const take = async () => {
    for (;;) {
      const holder = await readNode();
      const session = ttl === 0 ? undefined : await store.begin(ttl);
      const to = { text: encodeClaim({ owner: mine, run: owner.run }), session };
      const before = [...(await store.read("/services/"))];
      // The records move in the same write as the claim, so that no reader sees a gap and no earlier run writes
      // between. What an engine left that had the node before goes: nobody else would ever remove it.
      const moved = before.flatMap(([key, { text, version: seen }]): Step[] => {
        const instance = readable(key, text);
        const fate = instance && fateOf(instance, owner, inherits);
        if (!instance || !fate) return [];
        const inherited = encodeInstance({ ...instance, owner: mine });
        return [{ key, seen, to: fate === "ours" ? { text: inherited, session } : "gone" }];
      });
      if (await store.commit([{ key: node, seen: holder?.version, to }, ...moved])) {
        held = true;
        const { version } = (await readNode()) ?? { version: -1 };
        claim = { version, session };
        if (holder?.session !== undefined) await store.end(holder.session);
        return;
      }
      // Somebody else changed the claim or a record meanwhile: look again whose it is.
      if (session !== undefined) await store.end(session);
    }
  };

  /** Writes one key, as long as the node is ours and the key is what was looked at. */
  const write = async (key: string, text: string | undefined) => {
    for (;;) {
      const { version, session } = claimed();
      const found = (await store.read(key)).get(key);
      const there = found && readable(key, found.text);
      if (there) assertOurs(there, owner, adopt);
      if (!found && text === undefined) return;
      const to = text === undefined ? ("gone" as const) : { text, session };
      if (
        await store.commit([
          { key: node, seen: version },
          { key, seen: found?.version, to },
        ])
      )
        return;
      if ((await readNode())?.version !== version) throw lost();
    }
  };

  const ownedNow = async () => {
    if ((await readNode())?.version !== claimed().version) throw lost();
    return [...(await store.read("/services/"))]
      .flatMap(([key, { text }]) => readable(key, text) ?? [])
      .filter(({ id, owner: of }) => of === mine || (of === undefined && adopt(id)));
  };

  return {
    renew: (signal) =>
      call(signal, async () => {
        const { version, session } = claim ?? {};
        const beaten = session === undefined || (await store.beat(session));
        const fresh = !claim || !beaten || (await readNode())?.version !== version;
        if (fresh) await take();
        return { ttl, fresh };
      }),
    register: (instance, signal) =>
      call(signal, async () => {
        await write(layout.keyOf(instance), encodeInstance(instance));
        return { leftOut: [] };
      }),
    deregister: (ref, signal) => call(signal, () => write(layout.keyOf(ref), undefined)),
    owned: (signal) => call(signal, ownedNow),
    release: (signal) =>
      call(signal, async () => {
        if (!claim) return;
        const { version, session } = claim;
        claim = undefined;
        const own = [...(await store.read("/services/"))].flatMap(([key, { text, version: seen }]): Step[] =>
          readable(key, text)?.owner === mine ? [{ key, seen, to: "gone" }] : [],
        );
        // Not done where somebody else has taken the node over: what he has stays.
        await store.commit([{ key: node, seen: version, to: "gone" }, ...own]);
        if (session !== undefined) await store.end(session);
      }),
  };
}

/** The record; undefined where something unreadable stands, which its owner may replace. */
function readable(key: string, text: string): Instance | undefined {
  try {
    return decodeInstance(text, key);
  } catch {
    return undefined;
  }
}
