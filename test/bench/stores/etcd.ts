import { Etcd3 } from "etcd3";
import { type BareRef, type BareStore, inTurns, portIn, recordText } from "./store.ts";

/** etcd: a put on a lease, a watch on a key. */
export async function openEtcd(url: string): Promise<BareStore> {
  const { host, pathname } = new URL(url);
  const client = new Etcd3({ hosts: `http://${host}` });
  const lease = client.lease(60);
  const keyOf = ({ service, id }: BareRef) => `${pathname}/services/${service}/${id}`;
  return {
    async put(record) {
      await lease.put(keyOf(record)).value(recordText(record));
    },
    async fill(records) {
      await inTurns(records, 32, (record) => client.put(keyOf(record)).value(recordText(record)).exec());
    },
    async count() {
      const all = await client.getAll().prefix(`${pathname}/services/`).strings();
      return Object.values(all).map((text) => JSON.parse(text)).length;
    },
    async remove(ref) {
      await client.delete().key(keyOf(ref));
    },
    async watch(ref, seen) {
      const watcher = await client.watch().key(keyOf(ref)).create();
      watcher.on("put", ({ value }) => seen(portIn(value.toString())));
      watcher.on("delete", () => seen(undefined));
    },
    async close() {
      await lease.revoke().catch(() => {});
      client.close();
    },
  };
}
