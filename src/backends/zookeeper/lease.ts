import { coded } from "../../errors.ts";
import { decodeInstance, encodeInstance, type Instance } from "../../instance.ts";
import { type Lease, type LeaseOptions, type Owner, ownerText } from "../backend.ts";
import type { RecordLayout } from "../layouts/layout.ts";
import { assertOurs, fateOf } from "../layouts/ownership.ts";
import { limited } from "../limited.ts";
import { createTurns } from "../turns.ts";
import type { Connection, Step, Znode } from "./connection.ts";
import { createZookeeperNode } from "./node.ts";
import type { Connector } from "./session.ts";

/**
 * The lease of an owner whose name stands in each of its records, which are nodes of its session.
 *
 * Every write is one transaction with a look at `nodes/<node>`, so that a run whose place was taken by a newer one
 * cannot write any more from the very moment its successor claimed the node.
 */
export function createZookeeperLease(
  title: string,
  connect: Connector,
  layout: RecordLayout,
  owner: Owner,
  ttl: number,
  { adopt = () => false, inherits }: LeaseOptions = {},
): Lease {
  const mine = ownerText(owner);
  const { services, keyOf: pathOf } = layout;
  const node = createZookeeperNode(connect, layout.root, owner, ttl, inherits);

  /** Records that are held as they should be, and the version of each. */
  const own = new Map<string, number>();
  /** Records of other owners, which `owned` need not read again. */
  let others: ReadonlySet<string> = new Set();
  /** Services' nodes that were there when last seen. */
  let folders = new Set<string>();

  const isHeld = (record: Znode, on: Connection) => record.holder === node.holderOn(on);

  /** Every record that is readable, but those that are known to be of others. */
  const readAll = async (on: Connection) => {
    const names = (await on.list(services)) ?? [];
    folders = new Set(names.map((name) => `${services}/${name}`));
    const lists = await Promise.all(
      names.map(async (name) =>
        ((await on.list(`${services}/${name}`)) ?? []).map((id) => `${services}/${name}/${id}`),
      ),
    );
    const known = (path: string) => others.has(path) && !own.has(path);
    const all = lists.flat();
    const found = await Promise.all(
      all
        .filter((path) => !known(path))
        .map(async (path) => {
          const record = await on.read(path);
          const instance = record && readable(record, path);
          return instance ? [{ path, record, instance }] : [];
        }),
    );
    others = new Set(all.filter(known));
    return found.flat();
  };

  /** Every record of this owner; one that hangs on an earlier session is moved to this one. */
  const gather = async (on: Connection): Promise<readonly Instance[]> => {
    const all = await readAll(on);
    const foreign = new Set(others);
    const found = await Promise.all(
      all.map(async ({ path, record, instance }) => {
        if (instance.owner === mine) await take(on, path, record);
        else if (instance.owner !== undefined || !adopt(instance.id)) foreign.add(path);
        return foreign.has(path) ? [] : [instance];
      }),
    );
    others = foreign;
    return found.flat();
  };

  /** Makes a record ours that is or that we inherit, and removes what an engine before us left. */
  const take = async (on: Connection, path: string, record: Znode) => {
    // One that is gone meanwhile is not brought back: its container may have ended.
    for (let now: Znode | undefined = record; now; now = await on.read(path)) {
      const instance = readable(now, path);
      const fate = instance && fateOf(instance, owner, inherits);
      if (!fate) return;
      if (instance.owner === mine && isHeld(now, on)) return void own.set(path, now.version);
      const text = instance.owner === mine ? now.text : encodeInstance({ ...instance, owner: mine });
      const put: Step = { create: path, text, mode: node.mode };
      const steps: readonly Step[] = [
        node.guard(),
        { remove: path, version: now.version },
        ...(fate === "ours" ? [put] : []),
      ];
      if (await on.commit(steps)) {
        if (fate === "ours") own.set(path, 0);
        return;
      }
      await node.assertHeld(on);
    }
  };

  /** Each work leaves the lease in a different state. */
  const inTurn = createTurns();

  const call = <T>(signal: AbortSignal, work: (over: AbortSignal) => Promise<T>): Promise<T> =>
    limited(signal, work, (error) => coded("BACKEND_UNREACHABLE", error, `${title}: `));

  const assertMine = (record: Znode, path: string) => {
    const there = readable(record, path);
    if (there) assertOurs(there, owner, adopt);
  };

  /**
   * A connection to write on. A claim that lasts may have been removed by hand and another engine's put there, which
   * no session and no version would tell.
   */
  const toWrite = async () => {
    const on = await node.connection();
    if (node.kept) await node.assertHeld(on);
    return on;
  };

  /** Puts the text where there is no record or one that we may replace. */
  const put = async (on: Connection, path: string, text: string, over: AbortSignal) => {
    const folder = folderOf(path);
    const known = own.get(path);
    own.delete(path);
    const write = async (version: number) => {
      const written = await on.commit([node.guard(), { write: path, version, text }]);
      if (written) own.set(path, version + 1);
      return written;
    };
    const create = async (before: readonly Step[] = []) => {
      const created = await on.commit([node.guard(), ...before, { create: path, text, mode: node.mode }]);
      if (created) own.set(path, 0);
      return created;
    };
    if (known !== undefined) {
      if (await write(known)) return;
    } else {
      // In the same breath, since a service's node mostly comes with its first record. It may be there.
      if (!folders.has(folder)) on.create(folder, "", "persistent").catch(() => {});
      folders.add(folder);
      if (await create()) return;
    }
    while (!over.aborted) {
      await node.assertHeld(on);
      const found = await on.read(path);
      if (!found) {
        await on.create(folder, "", "persistent");
        if (await create()) return;
        continue;
      }
      assertMine(found, path);
      const done = isHeld(found, on)
        ? await write(found.version)
        : await create([{ remove: path, version: found.version }]);
      if (done) return;
    }
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
              const all = await readAll(on);
              await Promise.all(all.map(({ path, record }) => take(on, path, record)));
            },
          ),
        ),
      ),

    register: (instance, signal) =>
      call(signal, async (over) => {
        await put(await toWrite(), pathOf(instance), encodeInstance(instance), over);
        return { leftOut: [] };
      }),

    deregister: (ref, signal) =>
      call(signal, async (over) => {
        const on = await toWrite();
        const path = pathOf(ref);
        const remove = async (version: number) => {
          const removed = on.commit([node.guard(), { remove: path, version }]);
          // In the same breath, and mostly refused: the service's node goes with its last record.
          folders.delete(folderOf(path));
          on.remove(folderOf(path)).catch(() => {});
          return removed;
        };
        const known = own.get(path);
        own.delete(path);
        if (known !== undefined && (await remove(known))) return;
        while (!over.aborted) {
          const found = await on.read(path);
          if (!found) return;
          assertMine(found, path);
          if (await remove(found.version)) return;
          await node.assertHeld(on);
        }
      }),

    owned: (signal) => call(signal, async () => gather(await node.connection())),

    release: (signal) =>
      call(signal, () =>
        inTurn(async () => {
          if (node.kept && node.held()) await removeAll(await node.connection());
          own.clear();
          await node.release();
        }),
      ),
  };

  /** Removes what no session takes with it; what a later owner has taken over stays. */
  async function removeAll(on: Connection): Promise<void> {
    others = new Set();
    const ours = (await readAll(on)).filter(({ instance }) => instance.owner === mine);
    await Promise.all(ours.map(({ path, record }) => on.remove(path, record.version)));
    const left = new Set(ours.map(({ path }) => folderOf(path)));
    await Promise.all([...left].map((folder) => on.remove(folder)));
  }
}

const folderOf = (path: string) => path.slice(0, path.lastIndexOf("/"));

function readable(record: Znode, path: string): Instance | undefined {
  try {
    return decodeInstance(record.text, path);
  } catch {
    return undefined;
  }
}
