import { promisify } from "node:util";
import zookeeperClient from "node-zookeeper-client";
import { type BareRecord, type BareRef, type BareStore, inTurns, portIn, recordText } from "./store.ts";

const { CreateMode, createClient } = zookeeperClient;

/** ZooKeeper: an ephemeral node, a watch on it and a read. */
export async function openZookeeper(url: string): Promise<BareStore> {
  const { host, pathname } = new URL(url);
  const client = createClient(host);
  await new Promise<void>((resolve) => {
    client.once("connected", resolve);
    client.connect();
  });
  const mkdirp = promisify<string, void>((path, done) => client.mkdirp(path, (error) => done(error)));
  const folderOf = ({ service }: BareRef) => `${pathname}/services/${service}`;
  const pathOf = (ref: BareRef) => `${folderOf(ref)}/${ref.id}`;
  const made = new Set<string>();
  const own = new Set<string>();
  return {
    async put(record) {
      const path = pathOf(record);
      const text = Buffer.from(recordText(record));
      if (!made.has(folderOf(record))) await mkdirp(folderOf(record));
      made.add(folderOf(record));
      await new Promise<void>((resolve, reject) => {
        const done = (error: unknown) => (error ? reject(error) : resolve());
        if (own.has(path)) client.setData(path, text, done);
        else client.create(path, text, CreateMode.EPHEMERAL, done);
      });
      own.add(path);
    },
    async fill(records) {
      for (const record of records) {
        if (!made.has(folderOf(record))) await mkdirp(folderOf(record));
        made.add(folderOf(record));
      }
      const create = promisify<BareRecord, void>((record, done) =>
        client.create(pathOf(record), Buffer.from(recordText(record)), CreateMode.PERSISTENT, (error) =>
          done(error),
        ),
      );
      await inTurns(records, 64, create);
    },
    async count() {
      const children = promisify<string, string[]>((path, done) =>
        client.getChildren(path, (error, names) => done(error, names)),
      );
      const read = promisify<string, Buffer>((path, done) =>
        client.getData(path, (error, data) => done(error, data)),
      );
      let count = 0;
      const folder = `${pathname}/services`;
      await inTurns(await children(folder), 64, async (service) => {
        for (const id of await children(`${folder}/${service}`)) {
          JSON.parse((await read(`${folder}/${service}/${id}`)).toString());
          count += 1;
        }
      });
      return count;
    },
    async remove(ref) {
      own.delete(pathOf(ref));
      await new Promise<void>((resolve, reject) =>
        client.remove(pathOf(ref), (error) => (error ? reject(error) : resolve())),
      );
    },
    async watch(ref, seen) {
      const path = pathOf(ref);
      const read = () =>
        client.getData(path, read, (error, data) => {
          if (!error) return seen(portIn(data.toString()));
          seen(undefined);
          // Only a node that exists keeps the watch of a read.
          client.exists(path, read, (_error, stat) => {
            if (stat) read();
          });
        });
      read();
    },
    close: async () => client.close(),
  };
}
