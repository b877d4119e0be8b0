import { PortolanError } from "../../errors.ts";
import { encodeSegment } from "../../instance.ts";
import { type Owner, ownerText, type Renewal } from "../backend.ts";
import { type Claim, decodeClaim, encodeClaim, type Listing } from "../layouts/claim.ts";
import { assertFree } from "../layouts/free.ts";
import { type Connection, type Mode, nobody, type Step, type Znode } from "./connection.ts";
import { type Connector, createSessionLink, isLost } from "./session.ts";

/** `nodes/<node>` as one run holds it, and the session in which it and the records are. */
export interface ZookeeperNode {
  readonly path: string;
  /** The time to live is 0: the nodes are persistent, and no session holds them. */
  readonly kept: boolean;
  readonly mode: Mode;
  /** Whether the node is claimed, as far as is known. */
  held(): boolean;
  /** The `holder` of what is ours on this connection. */
  holderOn(on: Connection): string;
  /** A connection to the session; LEASE_LOST unless the node was claimed in it. */
  connection(): Promise<Connection>;
  /** The part of a transaction without which nothing is to be written: it fails once the node is not ours. */
  guard(): Step;
  /** Rejects unless the node is ours, where a guard failed; it may have failed because the node was rewritten. */
  assertHeld(on: Connection): Promise<Znode>;
  /**
   * Beats once or claims the node: with what `listing` returns, given the claim before. `move` then takes the
   * owner's records over.
   */
  hold(
    listing: (before: Claim | undefined) => Listing | undefined,
    move: (on: Connection) => Promise<void>,
  ): Promise<Renewal>;
  /** Ends the session, or removes the node where no session holds it. */
  release(): Promise<void>;
}

/**
 * Claims that replace one another, each while the one before stands, have different versions: no run that was
 * replaced, however long it stood still, writes under the claim of one of so many that followed.
 */
const generations = 16;

/**
 * One session for all that a host writes. A connection that broke is replaced by one to the same session, so that
 * only a session that expired is `fresh`. With a `ttl` of 0 the nodes are persistent: a session is then but a
 * connection, and the next one is as good.
 */
export function createZookeeperNode(
  connect: Connector,
  root: string,
  owner: Owner,
  ttl: number,
  inherits?: string,
): ZookeeperNode {
  const mine = ownerText(owner);
  const path = `${root}/nodes/${encodeSegment(owner.node)}`;
  const kept = ttl === 0;
  const mode: Mode = kept ? "persistent" : "ephemeral";
  const holderOn = (on: Connection) => (kept ? nobody : on.session.id);

  /** Whether the node was claimed in this session, and nothing has told otherwise since. */
  let ready = false;
  /** Whether this run ever held the node: only then is another run of the same owner a newer one. */
  let held = false;
  /** Whether `hold` has told of the present claim. */
  let told = false;
  /** Of the node as we left it or saw it last. */
  let version = 0;

  const lost = () => new PortolanError("LEASE_LOST", `the session of node ${owner.node} is gone; renew it`);

  const link = createSessionLink(connect, { lost, renewed: kept });
  const forget = () => {
    link.forget();
    if (!kept) ready = false;
  };
  const attach = async (): Promise<Connection> => {
    try {
      return await link.attach();
    } catch (error) {
      if (isLost(error) && !kept) ready = false;
      throw error;
    }
  };

  /** Rejects when somebody else holds the node. */
  const checkFree = ({ holder, text }: Znode): Claim | undefined => {
    const claim = decodeClaim(text, path);
    try {
      assertFree({ place: path, living: holder !== nobody, claim }, owner, held, inherits);
    } catch (error) {
      ready = false;
      throw error;
    }
    return claim;
  };

  /** The node if it is ours. Rejects when it is somebody else's. */
  const holds = async (on: Connection): Promise<Znode | undefined> => {
    const holder = await on.read(path);
    if (!holder) return undefined;
    const own = holder.holder === holderOn(on);
    if (own && kept && checkFree(holder)?.owner !== mine) return undefined;
    if (!own) checkFree(holder);
    if (own) version = holder.version;
    return own ? holder : undefined;
  };

  /** Puts our claim in the place of one that stands, with a version that it did not have. */
  const takeFrom = async (on: Connection, holder: Znode, text: string): Promise<boolean> => {
    const lasts = kept && holder.holder === nobody;
    const next = lasts ? holder.version + 1 : (holder.version + 1) % generations;
    const steps: readonly Step[] = lasts
      ? [{ write: path, version: holder.version, text }]
      : [
          { remove: path, version: holder.version },
          { create: path, text, mode },
          ...Array.from({ length: next }, (_, at) => ({ write: path, version: at, text })),
        ];
    const taken = await on.commit(steps);
    if (taken) version = next;
    return taken;
  };

  const claimNode = async (
    on: Connection,
    listing: (before: Claim | undefined) => Listing | undefined,
  ): Promise<void> => {
    for (;;) {
      const holder = await on.read(path);
      const claim = (before?: Claim) => encodeClaim({ owner: mine, run: owner.run }, listing(before));
      if (!holder) {
        version = 0;
        if (await on.create(path, claim(), mode)) return;
      } else if (holder.holder === on.session.id) {
        version = holder.version;
        return;
      } else {
        if (await takeFrom(on, holder, claim(checkFree(holder)))) return;
      }
    }
  };

  return {
    path,
    kept,
    mode,
    held: () => ready,
    holderOn,
    guard: () => ({ check: path, version }),

    async connection() {
      if (!ready) throw lost();
      return attach();
    },

    async assertHeld(on) {
      const holder = await holds(on);
      if (holder) return holder;
      ready = false;
      throw lost();
    },

    async hold(listing, move) {
      let beaten = false;
      if (link.current()) {
        try {
          beaten = (await holds(await attach())) !== undefined && ready;
        } catch (error) {
          if (!isLost(error)) throw error;
          forget();
        }
      }
      if (!beaten) {
        if (!link.current()) await link.begin();
        told = false;
        const on = await attach();
        await claimNode(on, listing);
        held = true;
        await move(on);
        ready = true;
      }
      const session = link.current();
      if (!session) throw lost();
      const fresh = !told;
      told = true;
      return { ttl: kept ? 0 : session.timeout / 1000, fresh };
    },

    async release() {
      if (!link.current()) return;
      try {
        const on = await attach();
        while (kept && ready) {
          const holder = await on.read(path);
          const own = holder?.holder === nobody && decodeClaim(holder.text, path)?.owner === mine;
          if (!own || (await on.remove(path, holder.version))) break;
        }
        await on.end();
      } catch (error) {
        if (!isLost(error)) throw error;
      }
      ready = false;
      forget();
    },
  };
}
