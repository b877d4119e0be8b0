import { PortolanError } from "../errors.ts";
import { encodeInstance, encodeSegment, type Instance, type InstanceRef } from "../instance.ts";
import { createCell } from "../source.ts";
import { type Backend, type Lease, type Owner, ownerText, type Snapshot } from "./backend.ts";
import { assertLive, createMemoryKv, createMemoryLocks, createMemoryNotes } from "./memory-keys.ts";
import { createRecords, emptySnapshot, only, shareSnapshot } from "./records.ts";

/**
 * `memory:` holds the records of this very process, for `agent` on a single machine. Nothing expires, since
 * whoever could read a record dies together with its owner; so a `ttl` of 0 makes no difference.
 */
export async function openMemory(): Promise<Backend> {
  const records = createRecords();
  const leases = new Map<string, Owner>();
  const observers = new Set<() => void>();
  const changed = () => {
    for (const observer of [...observers]) observer();
  };

  return {
    title: "memory:",
    capabilities: { expiry: "none", checks: false },

    observe(interest) {
      const cell = createCell<Snapshot>();
      let wanted = interest;
      let all = emptySnapshot;
      let last = emptySnapshot;
      const publish = () => {
        all = records.snapshot(all);
        last = shareSnapshot(last, only(all, wanted));
        cell.set(last);
      };
      observers.add(publish);
      publish();
      return {
        current: cell.current,
        subscribe: cell.subscribe,
        refresh: publish,
        want(next) {
          wanted = next;
          publish();
        },
        close: async () => void observers.delete(publish),
      };
    },

    lease: (owner, ttl, { adopt = () => false, inherits } = {}): Lease => {
      const key = (ref: InstanceRef) => `${encodeSegment(ref.service)}/${encodeSegment(ref.id)}`;
      const mine = ownerText(owner);
      const isOurs = ({ id, owner: whose }: Instance) => whose === mine || (whose === undefined && adopt(id));
      const assertOwned = (ref: InstanceRef) => {
        const found = records.get(key(ref));
        if (!found || isOurs(found)) return;
        const other = found.owner ?? "nobody that is known";
        throw new PortolanError("NOT_OWNER", `record ${ref.id} belongs to ${other}; it was left alone`);
      };
      let held = false;
      const inherit = (from: string) => {
        for (const name of [...records.keys()]) {
          const record = records.get(name);
          if (record?.owner === from) records.put(name, encodeInstance({ ...record, owner: mine }));
        }
        changed();
      };
      return {
        async renew() {
          const holder = leases.get(owner.node);
          if (holder && !held && ownerText(holder) === inherits) inherit(inherits);
          else if (holder && holder.engine !== owner.engine) {
            throw new PortolanError("NODE_TAKEN", `node ${owner.node} belongs to ${ownerText(holder)}`);
          }
          held = true;
          leases.set(owner.node, owner);
          return { ttl, fresh: holder?.run !== owner.run };
        },
        async register(instance, signal) {
          assertLive(signal);
          assertOwned(instance);
          records.put(key(instance), encodeInstance(instance));
          changed();
          return { leftOut: [] };
        },
        async deregister(ref, signal) {
          assertLive(signal);
          assertOwned(ref);
          records.delete(key(ref));
          changed();
        },
        async owned(signal) {
          assertLive(signal);
          return [...records.keys()].flatMap((name) => records.get(name) ?? []).filter(isOurs);
        },
        async release() {
          for (const name of [...records.keys()]) if (records.get(name)?.owner === mine) records.delete(name);
          if (leases.get(owner.node)?.engine === owner.engine) leases.delete(owner.node);
          changed();
        },
      };
    },

    kv: createMemoryKv(),
    lock: createMemoryLocks(),
    notes: createMemoryNotes(),

    // The records outlive a closed connection, as in every backend.
    close: async () => {},
  };
}
