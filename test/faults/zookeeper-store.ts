// A real ZooKeeper for the faults.
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import zookeeperClient, { type Client, CreateMode } from "node-zookeeper-client";
import { openBackend } from "../../src/backends/index.ts";
import { tempDir } from "../servers/run.ts";
import { startZooKeeper } from "../servers/zookeeper.ts";
import { garbage } from "./garbage.ts";
import type { FaultStore } from "./store.ts";

const { ACL, Id, Permission } = zookeeperClient;
const anyone = new ACL(Permission.ALL, new Id("world", "anyone")) as InstanceType<typeof ACL> & {
  toRecord(): object;
};

/** The protocol's messages: the package's own calls refuse what is larger than 1 MB. */
interface Jute {
  readonly OP_CODES: { readonly CREATE: number };
  readonly Request: new (header: object, payload: object) => object;
  readonly protocol: {
    readonly RequestHeader: new () => object;
    readonly CreateRequest: new (path: string, data: Buffer, acl: readonly object[], flags: number) => object;
  };
}
const jute = createRequire(import.meta.url)("node-zookeeper-client/lib/jute") as Jute;

/** Calls back as the package does. */
const settled = (work: (done: (error: unknown) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => work((error) => (error ? reject(error) : resolve())));

async function connected(address: string, digest?: string): Promise<Client> {
  const client = zookeeperClient.createClient(address);
  if (digest !== undefined) client.addAuthInfo("digest", Buffer.from(digest));
  await new Promise<void>((resolve) => {
    client.once("connected", resolve);
    client.connect();
  });
  return client;
}

/** Creates a node however large it is. */
function create(client: Client, path: string, data: Buffer): Promise<void> {
  const { connectionManager } = client as unknown as {
    readonly connectionManager: { queue(request: object, answered: (error: unknown) => void): void };
  };
  const header = Object.assign(new jute.protocol.RequestHeader(), { type: jute.OP_CODES.CREATE });
  const payload = new jute.protocol.CreateRequest(path, data, [anyone.toRecord()], CreateMode.PERSISTENT);
  return settled((done) => connectionManager.queue(new jute.Request(header, payload), done));
}

/** The nodes at and below a path. */
async function below(client: Client, path: string): Promise<readonly string[]> {
  const names = await new Promise<string[]>((resolve) =>
    client.getChildren(path, (error, found) => resolve(error ? [] : (found ?? []))),
  );
  const deeper = await Promise.all(names.map((name) => below(client, `${path}/${name}`)));
  return [path, ...deeper.flat()];
}

/** Sessions last for two ticks at least. */
export const zookeeperStore: FaultStore = {
  name: "zookeeper",
  ttl: 2,
  open: (port, place) => openBackend(`zookeeper://127.0.0.1:${port}/${place}`, { env: {} }),

  async start() {
    const server = await startZooKeeper({ jvm: [`-Djute.maxbuffer=${16 * 1024 * 1024}`, "-Xmx512m"] });
    return {
      ...server,
      async litter(place, service, size) {
        const client = await connected(server.address);
        const texts = garbage(size);
        for (const [id, text] of texts)
          await create(client, `/${place}/services/${service}/${id}`, Buffer.from(text));
        client.close();
        return texts.length;
      },
    };
  },

  async startGuarded() {
    const server = await startZooKeeper();
    const file = join(tempDir("zookeeper-faults"), "reader");
    await writeFile(file, "first");
    const root = await connected(server.address, "root:root");
    const hash = (digest: string) =>
      `${digest.split(":")[0]}:${createHash("sha1").update(digest).digest("base64")}`;
    const allowed = (digest: string, permission: number) =>
      new ACL(permission, new Id("digest", hash(digest)));
    /** Lets the reader in with this password, or with none. */
    const admit = async (password: string | undefined) => {
      const list = [
        allowed("root:root", Permission.ALL),
        ...(password === undefined ? [] : [allowed(`reader:${password}`, Permission.READ)]),
      ];
      for (const path of await below(root, "/guarded"))
        await settled((done) => root.setACL(path, list, -1, done));
    };
    const rootFile = join(tempDir("zookeeper-faults"), "root");
    await writeFile(rootFile, "root");
    const open = (user: string, path: string) =>
      openBackend(`zookeeper://${server.address}/guarded?user=${user}&password-file=${path}`, { env: {} });
    let password = "first";
    return {
      ...server,
      openRoot: () => open("root", rootFile),
      openReader: () => open("reader", file),
      revoke: () => admit(undefined),
      grant: () => admit(password),
      async change() {
        password = "second";
        await admit(password);
      },
      tell: () => writeFile(file, password),
      async stop() {
        root.close();
        await server.stop();
      },
    };
  },
};
