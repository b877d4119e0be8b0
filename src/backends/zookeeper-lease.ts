import { coded, PortolanError } from "../errors.ts";
import {
  decodeInstance,
  encodeInstance,
  encodeSegment,
  type Instance,
  type InstanceRef,
} from "../instance.ts";
import { type Lease, type Owner, ownerText } from "./backend.ts";
import { callLimit, limited } from "./limited.ts";
import { type Connection, nobody, type Session, type Znode } from "./zookeeper-connection.ts";

/** Connects anew, or to a session that lives already, within `limit` ms. */
export type Connector = (want: {
  readonly session?: Session | undefined;
  readonly limit: number;
}) => Promise<Connection>;

/**
 * One session for all records of a host, which are its ephemeral nodes together with `nodes/<node>`. A
 * connection that broke is replaced by one to the same session, so that only a session that expired is `fresh`.
 *
 * A run whose place was taken by a newer one finds its nodes in the newer one's session: whatever it reads
 * there, it reads `nodes/<node>` afterwards and before it writes, and ZooKeeper shows both in this order.
 */
export function createZookeeperLease(connect: Connector, root: string, owner: Owner): Lease {
  const mine = ownerText(owner);
  const services = `${root}/services`;
  const node = `${root}/nodes/${encodeSegment(owner.node)}`;
  const claim = JSON.stringify({ owner: mine, run: owner.run });
  const pathOf = (ref: InstanceRef) => `${services}/${encodeSegment(ref.service)}/${encodeSegment(ref.id)}`;

  /** Ours until the server says that it expired. */
  let session: Session | undefined;
  let link: Connection | undefined;
  let attaching: Promise<Connection> | undefined;
  /** Whether the node was claimed in this session, and nothing has told otherwise since. */
  let ready = false;
  /** Whether this run ever held the node: only then is another run of the same owner a newer one. */
  let held = false;
  /** Whether `renew` has told of the present claim. */
  let told = false;
  /** Records that this session holds. */
  const own = new Set<string>();
  /** Records of other owners, which `owned` need not read again. */
  let others: ReadonlySet<string> = new Set();
  /** Services' nodes that were there when last seen. */
  let folders = new Set<string>();
  let turn: Promise<unknown> = Promise.resolve();

  const lost = () => new PortolanError("LEASE_LOST", `the session of node ${owner.node} is gone; renew it`);

  const forget = () => {
    session = undefined;
    link = undefined;
    ready = false;
    own.clear();
  };

  const reattach = async (to: Session): Promise<Connection> => {
    try {
      link = await connect({ session: to, limit: Math.min(callLimit, to.timeout / 3) });
      return link;
    } catch (error) {
      if (isLost(error)) forget();
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

  const connection = async (): Promise<Connection> => {
    if (!ready) throw lost();
    return attach();
  };

  /** Rejects when somebody else holds the node. */
  const assertFree = (holder: Znode) => {
    // A persistent node was put there by hand: nobody keeps it alive.
    if (holder.holder === nobody) return;
    const by = claimOf(holder.text);
    if (by?.owner !== mine) {
      const other = by?.owner ?? `an unreadable record at ${node}`;
      ready = false;
      throw new PortolanError("NODE_TAKEN", `node ${owner.node} belongs to ${other}, whose session lives`);
    }
    if (held && by.run !== owner.run) {
      ready = false;
      throw new PortolanError("SUPERSEDED", `node ${owner.node} was taken over by run ${by.run}`);
    }
  };

  const holds = async (on: Connection): Promise<boolean> => {
    const holder = await on.read(node);
    if (holder?.holder === on.session.id) return true;
    if (holder) assertFree(holder);
    return false;
  };

  /** Rejects unless the node is ours: called between reading a record in another session and moving it. */
  const assertHeld = async (on: Connection) => {
    if (await holds(on)) return;
    ready = false;
    throw lost();
  };

  const claimNode = async (on: Connection) => {
    for (;;) {
      const holder = await on.read(node);
      if (!holder) {
        if (await on.create(node, claim, "ephemeral")) return;
      } else if (holder.holder === on.session.id) {
        return;
      } else {
        assertFree(holder);
        if (await on.replace(node, holder.version, claim)) return;
      }
    }
  };

  /** Every record of this owner; what hangs on an earlier session is moved to this one. */
  const adopt = async (on: Connection): Promise<readonly Instance[]> => {
    const names = (await on.list(services)) ?? [];
    folders = new Set(names.map((name) => `${services}/${name}`));
    const lists = await Promise.all(
      names.map(async (name) =>
        ((await on.list(`${services}/${name}`)) ?? []).map((id) => `${services}/${name}/${id}`),
      ),
    );
    const paths = lists.flat();
    const foreign = new Set<string>();
    const found = await Promise.all(
      paths.map(async (path) => {
        const known = others.has(path) && !own.has(path);
        const record = known ? undefined : await on.read(path);
        const instance = record && readable(record, path);
        if (record && instance?.owner === mine) return [{ path, record, instance }];
        if (known || instance) foreign.add(path);
        return [];
      }),
    );
    others = foreign;
    const all = found.flat();
    const strays = all.filter(({ record }) => record.holder !== on.session.id);
    if (strays.length > 0) await assertHeld(on);
    await Promise.all(strays.map(({ path, record }) => move(on, path, record)));
    for (const { path } of all) own.add(path);
    return all.map(({ instance }) => instance);
  };

  const move = async (on: Connection, path: string, record: Znode) => {
    let now: Znode | undefined = record;
    // One that is gone meanwhile is not brought back: its container may have ended.
    while (now && now.holder !== on.session.id && readable(now, path)?.owner === mine) {
      if (await on.replace(path, now.version, now.text)) return;
      now = await on.read(path);
    }
  };

  /** Beats, or takes what there is to take. */
  const hold = async () => {
    if (session) {
      try {
        if ((await holds(await attach())) && ready) return;
      } catch (error) {
        if (!isLost(error)) throw error;
        forget();
      }
    }
    if (!session) {
      link = await connect({ limit: callLimit });
      session = link.session;
    }
    told = false;
    const on = await attach();
    await claimNode(on);
    held = true;
    others = new Set();
    await adopt(on);
    ready = true;
  };

  /** One at a time, since each leaves the lease in a different state. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const run = turn.then(work, work);
    turn = run.catch(() => {});
    return run;
  };

  const call = <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> =>
    limited(signal, work, (error) => coded("BACKEND_UNREACHABLE", error));

  const assertMine = (ref: InstanceRef, record: Znode) => {
    const other = readable(record, pathOf(ref))?.owner;
    if (other === undefined || other === mine) return;
    throw new PortolanError("NOT_OWNER", `record ${ref.id} belongs to ${other}; it was left alone`);
  };

  return {
    renew: (signal) =>
      call(signal, async () => {
        await inTurn(hold);
        if (!session) throw lost();
        const fresh = !told;
        told = true;
        return { ttl: session.timeout / 1000, fresh };
      }),

    register: (instance, signal) =>
      call(signal, async () => {
        const on = await connection();
        const path = pathOf(instance);
        const text = encodeInstance(instance);
        if (own.has(path)) {
          const holder = await on.write(path, text);
          if (holder === on.session.id) return { leftOut: [] };
          own.delete(path);
        }
        const folder = folderOf(path);
        // In the same breath, since a service's node mostly comes with its first record. It may be there.
        if (!folders.has(folder)) on.create(folder, "", "persistent").catch(() => {});
        folders.add(folder);
        while (!(await on.create(path, text, "ephemeral"))) {
          const found = await on.read(path);
          if (!found) continue;
          assertMine(instance, found);
          if (found.holder === on.session.id) {
            if ((await on.write(path, text)) === on.session.id) break;
          } else {
            await assertHeld(on);
            if (await on.replace(path, found.version, text)) break;
          }
        }
        own.add(path);
        return { leftOut: [] };
      }),

    deregister: (ref, signal) =>
      call(signal, async () => {
        const on = await connection();
        const path = pathOf(ref);
        // Only this session's own node needs no look.
        const remove = async (version?: number) => {
          const removed = on.remove(path, version);
          // In the same breath, and mostly refused: the service's node goes with its last record.
          folders.delete(folderOf(path));
          on.remove(folderOf(path)).catch(() => {});
          return removed;
        };
        if (own.has(path)) {
          await remove();
          own.delete(path);
          return;
        }
        for (;;) {
          const found = await on.read(path);
          if (!found) return;
          assertMine(ref, found);
          if (await remove(found.version)) return;
        }
      }),

    owned: (signal) => call(signal, async () => adopt(await connection())),

    release: (signal) =>
      call(signal, () =>
        inTurn(async () => {
          if (!session) return;
          try {
            await (await attach()).end();
          } catch (error) {
            if (!isLost(error)) throw error;
          }
          forget();
        }),
      ),
  };
}

const isLost = (error: unknown) => error instanceof PortolanError && error.code === "LEASE_LOST";

const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/"));

function readable(record: Znode, path: string): Instance | undefined {
  try {
    return decodeInstance(record.text, path);
  } catch {
    return undefined;
  }
}

/** Who holds a node; undefined when it is written in a way that is not ours. */
function claimOf(text: string): { readonly owner: string; readonly run: string } | undefined {
  try {
    const { owner, run } = JSON.parse(text) as Record<string, unknown>;
    return typeof owner === "string" && typeof run === "string" ? { owner, run } : undefined;
  } catch {
    return undefined;
  }
}
