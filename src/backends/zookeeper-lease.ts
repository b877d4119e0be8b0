import { coded } from "../errors.ts";
import { decodeInstance, encodeInstance, type Instance } from "../instance.ts";
import { type Lease, type LeaseOptions, type Owner, ownerText } from "./backend.ts";
import type { RecordLayout } from "./layouts/layout.ts";
import { assertOurs } from "./layouts/ownership.ts";
import { limited } from "./limited.ts";
import { createTurns } from "./turns.ts";
import type { Connection, Znode } from "./zookeeper-connection.ts";
import { type Connector, createZookeeperNode } from "./zookeeper-node.ts";

/**
 * The lease of an owner whose name stands in each of its records, which are nodes of its session.
 *
 * A run whose place was taken by a newer one finds its nodes in the newer one's session: whatever it reads
 * there, it reads `nodes/<node>` afterwards and before it writes, and ZooKeeper shows both in this order.
 */
export function createZookeeperLease(
  connect: Connector,
  layout: RecordLayout,
  owner: Owner,
  ttl: number,
  { adopt = () => false }: LeaseOptions = {},
): Lease {
  const mine = ownerText(owner);
  const { services, keyOf: pathOf } = layout;
  const node = createZookeeperNode(connect, layout.root, owner, ttl);

  /** Records that this session holds. */
  const own = new Set<string>();
  /** Records of other owners, which `owned` need not read again. */
  let others: ReadonlySet<string> = new Set();
  /** Services' nodes that were there when last seen. */
  let folders = new Set<string>();

  /** Every record of this owner; what hangs on an earlier session is moved to this one. */
  const gather = async (on: Connection): Promise<readonly Instance[]> => {
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
        const adopted = instance?.owner === undefined && instance !== undefined && adopt(instance.id);
        if (record && instance && (adopted || instance.owner === mine)) return [{ path, record, instance }];
        if (known || instance) foreign.add(path);
        return [];
      }),
    );
    others = foreign;
    const all = found.flat();
    const ours = all.filter(({ instance }) => instance.owner === mine);
    const strays = ours.filter(({ record }) => record.holder !== node.holderOn(on));
    if (strays.length > 0) await node.assertHeld(on);
    await Promise.all(strays.map(({ path, record }) => move(on, path, record)));
    for (const { path } of ours) own.add(path);
    return all.map(({ instance }) => instance);
  };

  const move = async (on: Connection, path: string, record: Znode) => {
    let now: Znode | undefined = record;
    // One that is gone meanwhile is not brought back: its container may have ended.
    while (now && now.holder !== node.holderOn(on) && readable(now, path)?.owner === mine) {
      if (await on.replace(path, now.version, now.text, node.mode)) return;
      now = await on.read(path);
    }
  };

  /** Each work leaves the lease in a different state. */
  const inTurn = createTurns();

  const call = <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> =>
    limited(signal, work, (error) => coded("BACKEND_UNREACHABLE", error));

  const assertMine = (record: Znode, path: string) => {
    const there = readable(record, path);
    if (there) assertOurs(there, owner, adopt);
  };

  return {
    renew: (signal) =>
      call(signal, () =>
        inTurn(() =>
          node.hold(
            () => undefined,
            async (on) => {
              own.clear();
              others = new Set();
              await gather(on);
            },
          ),
        ),
      ),

    register: (instance, signal) =>
      call(signal, async () => {
        const on = await node.connection();
        const path = pathOf(instance);
        const text = encodeInstance(instance);
        if (own.has(path)) {
          const holder = await on.write(path, text);
          if (holder === node.holderOn(on)) return { leftOut: [] };
          own.delete(path);
        }
        const folder = folderOf(path);
        // In the same breath, since a service's node mostly comes with its first record. It may be there.
        if (!folders.has(folder)) on.create(folder, "", "persistent").catch(() => {});
        folders.add(folder);
        while (!(await on.create(path, text, node.mode))) {
          const found = await on.read(path);
          if (!found) continue;
          assertMine(found, path);
          if (found.holder === on.session.id) {
            if ((await on.write(path, text)) === on.session.id) break;
          } else {
            await node.assertHeld(on);
            if (await on.replace(path, found.version, text, node.mode)) break;
          }
        }
        own.add(path);
        return { leftOut: [] };
      }),

    deregister: (ref, signal) =>
      call(signal, async () => {
        const on = await node.connection();
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
          assertMine(found, path);
          if (await remove(found.version)) return;
        }
      }),

    owned: (signal) => call(signal, async () => gather(await node.connection())),

    release: (signal) =>
      call(signal, () =>
        inTurn(async () => {
          if (node.kept && node.held()) {
            const on = await node.connection();
            const records = await gather(on);
            const ours = records.filter((instance) => instance.owner === mine).map(pathOf);
            await Promise.all(ours.map((path) => on.remove(path)));
            await Promise.all([...new Set(ours.map(folderOf))].map((folder) => on.remove(folder)));
          }
          own.clear();
          await node.release();
        }),
      ),
  };
}

const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/"));

function readable(record: Znode, path: string): Instance | undefined {
  try {
    return decodeInstance(record.text, path);
  } catch {
    return undefined;
  }
}
