import { PortolanError } from "../errors.ts";
import { encodeSegment } from "../instance.ts";
import { type Owner, ownerText, type Renewal } from "./backend.ts";
import { type Claim, decodeClaim, encodeClaim, type Listing } from "./layouts/claim.ts";
import { assertFree } from "./layouts/free.ts";
import { callLimit } from "./limited.ts";
import { type Connection, type Mode, nobody, type Session, type Znode } from "./zookeeper-connection.ts";

/** Connects anew, or to a session that lives already, within `limit` ms. */
export type Connector = (want: {
  readonly session?: Session | undefined;
  readonly limit: number;
}) => Promise<Connection>;

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
  /** Rejects unless the node is ours: called between reading a record in another session and moving it. */
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
 * One session for all that a host writes. A connection that broke is replaced by one to the same session, so that
 * only a session that expired is `fresh`. With a `ttl` of 0 the nodes are persistent: a session is then but a
 * connection, and the next one is as good.
 */
export function createZookeeperNode(
  connect: Connector,
  root: string,
  owner: Owner,
  ttl: number,
): ZookeeperNode {
  const mine = ownerText(owner);
  const path = `${root}/nodes/${encodeSegment(owner.node)}`;
  const kept = ttl === 0;
  const mode: Mode = kept ? "persistent" : "ephemeral";
  const holderOn = (on: Connection) => (kept ? nobody : on.session.id);

  /** Ours until the server says that it expired. */
  let session: Session | undefined;
  let link: Connection | undefined;
  let attaching: Promise<Connection> | undefined;
  /** Whether the node was claimed in this session, and nothing has told otherwise since. */
  let ready = false;
  /** Whether this run ever held the node: only then is another run of the same owner a newer one. */
  let held = false;
  /** Whether `hold` has told of the present claim. */
  let told = false;

  const lost = () => new PortolanError("LEASE_LOST", `the session of node ${owner.node} is gone; renew it`);

  const forget = () => {
    session = undefined;
    link = undefined;
    if (!kept) ready = false;
  };

  const begin = async (): Promise<Connection> => {
    link = await connect({ limit: callLimit });
    session = link.session;
    return link;
  };

  const reattach = async (to: Session): Promise<Connection> => {
    try {
      link = await connect({ session: to, limit: Math.min(callLimit, to.timeout / 3) });
      return link;
    } catch (error) {
      if (!isLost(error)) throw error;
      forget();
      if (kept) return begin();
      throw error;
    } finally {
      attaching = undefined;
    }
  };

  /** The session's connection, made again if it broke. */
  const attach = async (): Promise<Connection> => {
    if (link && !link.gone.aborted) return link;
    if (!session) throw lost();
    attaching ??= reattach(session);
    return attaching;
  };

  /** Rejects when somebody else holds the node. */
  const checkFree = ({ holder, text }: Znode): Claim | undefined => {
    const claim = decodeClaim(text, path);
    try {
      assertFree({ place: path, living: holder !== nobody, claim }, owner, held);
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
    if (own && !kept) return holder;
    const claim = checkFree(holder);
    return own && claim ? holder : undefined;
  };

  const claimNode = async (
    on: Connection,
    listing: (before: Claim | undefined) => Listing | undefined,
  ): Promise<void> => {
    for (;;) {
      const holder = await on.read(path);
      const claim = (before?: Claim) => encodeClaim({ owner: mine, run: owner.run }, listing(before));
      if (!holder) {
        if (await on.create(path, claim(), mode)) return;
      } else {
        if (holder.holder === on.session.id) return;
        if (await on.replace(path, holder.version, claim(checkFree(holder)), mode)) return;
      }
    }
  };

  return {
    path,
    kept,
    mode,
    held: () => ready,
    holderOn,

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
      if (session) {
        try {
          beaten = (await holds(await attach())) !== undefined && ready;
        } catch (error) {
          if (!isLost(error)) throw error;
          forget();
        }
      }
      if (!beaten) {
        if (!session) await begin();
        told = false;
        const on = await attach();
        await claimNode(on, listing);
        held = true;
        await move(on);
        ready = true;
      }
      if (!session) throw lost();
      const fresh = !told;
      told = true;
      return { ttl: kept ? 0 : session.timeout / 1000, fresh };
    },

    async release() {
      if (!session) return;
      try {
        const on = await attach();
        if (kept && ready) await on.remove(path);
        await on.end();
      } catch (error) {
        if (!isLost(error)) throw error;
      }
      ready = false;
      forget();
    },
  };
}

const isLost = (error: unknown) => error instanceof PortolanError && error.code === "LEASE_LOST";
