// The stores that registrators are tested on, read past the product: what really stands in them.
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import zookeeperClient from "node-zookeeper-client";
import { openBackend } from "../../src/backends/index.ts";
import type { Instance } from "../../src/instance.ts";
import { startConsul } from "../servers/consul.ts";
import { startEtcd } from "../servers/etcd.ts";
import { tempDir } from "../servers/run.ts";
import type { TestServer } from "../servers/server.ts";
import { startZooKeeper } from "../servers/zookeeper.ts";

/** The stores by name. */
export const storeNames = ["consul", "etcd", "zookeeper", "file"] as const;
export type StoreName = (typeof storeNames)[number];
/** Consul's KV store besides: what stands there has neither owner nor state, and is there only while it is ready. */
export type RegistryName = StoreName | "consulkv";

/** What a test says and reads about a record: `<service> <container> <address>:<port> <state>`. */
export type Line = string;

/** A store under test. */
export interface Registry {
  readonly name: RegistryName;
  /** As the product takes it. */
  readonly url: string;
  /**
   * The records that stand there, in order; in Consul without those whose health says that nobody keeps them.
   * One after the other; a store that cannot be read rejects.
   */
  lines(): Promise<readonly Line[]>;
  /** Everything that stands there as text, whatever wrote it. */
  dump(): Promise<string>;
  /** Loses all records and leaves the store and its leases alone: nobody is told. */
  loseRecords(): Promise<void>;
  /** Comes back as a new and empty store; undefined where there is no server. */
  readonly wipe?: () => Promise<void>;
  /** What a reader's instance says, where it has no owner; undefined where it is none of ours. */
  readonly lineOf?: (instance: Instance) => Line | undefined;
  stop(): Promise<void>;
}

/** A store with a reader that was there from its beginning. */
export interface ReadRegistry extends Registry {
  /** What the product gives to those who read: a templater sees the same. An error where it knows nothing new. */
  offered(): readonly Line[];
}

/** Starts one. */
export async function startRegistry(name: RegistryName): Promise<ReadRegistry> {
  const registry = await starts[name]();
  const { lineOf: lineIn = (instance) => (instance.owner === undefined ? undefined : lineOf(instance)) } =
    registry;
  const backend = await openBackend(registry.url, { env: {} });
  const observation = backend.observe({ services: "all" });
  return {
    ...registry,
    offered() {
      const now = observation.current();
      if (!now.known || now.problem) throw new Error(now.problem?.error.message ?? "nothing is known yet");
      return [...now.value.services.values()]
        .flat()
        .flatMap((instance) => lineIn(instance) ?? [])
        .sort();
    },
    async stop() {
      await backend.close();
      await registry.stop();
    },
  };
}

const starts: Readonly<Record<RegistryName, () => Promise<Registry>>> = {
  consul: startConsulRegistry,
  consulkv: startConsulkvRegistry,
  etcd: startEtcdRegistry,
  zookeeper: startZookeeperRegistry,
  file: async () => fileRegistry(tempDir("registry")),
};

const lineOf = ({ service, container, address, port, state }: Instance): Line =>
  `${service} ${container?.name} ${address}:${port} ${state}`;
const linesOf = (records: readonly string[]): readonly Line[] =>
  records.map((text) => lineOf(JSON.parse(text) as Instance)).sort();

const server = (of: TestServer) => ({ wipe: of.wipeAndRestart, stop: of.stop });

interface ConsulService {
  readonly ID: string;
  readonly Service: string;
  readonly Address: string;
  readonly Port: number;
  readonly Meta: Readonly<Record<string, string>>;
}
interface ConsulCheck {
  readonly ServiceID: string;
  readonly Status: string;
  readonly Notes: string;
  readonly CheckID: string;
}

async function startConsulRegistry(): Promise<Registry> {
  const consul = await startConsul({ persistent: true });
  const ask = async <T>(method: string, path: string): Promise<T> => {
    const answer = await fetch(`${consul.url}/v1/agent/${path}`, { method });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`consul: ${method} ${path}: ${answer.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  };
  const services = async () => Object.values(await ask<Record<string, ConsulService>>("GET", "services"));
  /** Without the service that carries the heartbeat. */
  const records = async () =>
    (await services()).filter(
      ({ ID, Meta }) => Meta["portolan-owner"] !== undefined && !ID.startsWith("portolan:"),
    );
  return {
    name: "consul",
    url: `consul://${consul.host}:${consul.port}`,
    ...server(consul),
    async lines() {
      const instances = await records();
      const checks = Object.values(await ask<Record<string, ConsulCheck>>("GET", "checks"));
      return instances
        .flatMap(({ ID, Service, Address, Port, Meta }) => {
          const critical = checks.filter((check) => check.ServiceID === ID && check.Status === "critical");
          const maintenance = critical.find(({ CheckID }) => CheckID.startsWith("_service_maintenance"));
          if (maintenance === undefined && critical.length > 0) return [];
          const state = maintenance?.Notes.replace("portolan: ", "") ?? "ready";
          const container = (JSON.parse(Meta["portolan-container"] ?? "{}") as { name?: string }).name;
          return `${Service} ${container} ${Address}:${Port} ${state}`;
        })
        .sort();
    },
    dump: async () =>
      (await Promise.all(["services", "checks"].map((path) => ask("GET", path))))
        .map((part) => JSON.stringify(part))
        .join("\n"),
    async loseRecords() {
      for (const { ID } of await records()) await ask("PUT", `service/deregister/${encodeURIComponent(ID)}`);
    },
  };
}

async function startConsulkvRegistry(): Promise<Registry> {
  const consul = await startConsul({ persistent: true });
  const prefix = "services/";
  /** Everything, as it stood at one moment. */
  const read = async () => {
    const answer = await fetch(`${consul.url}/v1/kv/?recurse`);
    if (answer.status === 404) return [];
    if (!answer.ok) throw new Error(`consul: reading keys: ${answer.status} ${await answer.text()}`);
    const entries = (await answer.json()) as readonly { Key: string; Value: string | null }[];
    return entries.map(({ Key, Value }) => [Key, Buffer.from(Value ?? "", "base64").toString()] as const);
  };
  return {
    name: "consulkv",
    url: `consulkv://${consul.host}:${consul.port}/${prefix.slice(0, -1)}`,
    ...server(consul),
    async lines() {
      const entries = await read();
      const listed = entries
        .filter(([key]) => key.startsWith("portolan/nodes/"))
        .flatMap(([, text]) => (JSON.parse(text) as { records?: readonly Instance[] }).records ?? []);
      const standing = new Map(entries.filter(([key]) => key.startsWith(prefix)));
      return listed
        .filter(({ service, id, address, port }) => {
          return standing.get(`${prefix}${service}/${id}`) === `${address}:${port}`;
        })
        .map(lineOf)
        .sort();
    },
    dump: async () => JSON.stringify(await read()),
    async loseRecords() {
      await fetch(`${consul.url}/v1/kv/${prefix}?recurse`, { method: "DELETE" });
    },
    // The id begins with the node and the container's name.
    lineOf: (instance) => {
      const [, name] = instance.id.split(":");
      return name && lineOf({ ...instance, container: { id: "", name, image: "" } });
    },
  };
}

async function startEtcdRegistry(): Promise<Registry> {
  const etcd = await startEtcd();
  const ask = async (path: string, prefix: string) => {
    const end = Buffer.from(prefix);
    end[end.length - 1] = (end.at(-1) ?? 0) + 1;
    const body = { key: Buffer.from(prefix).toString("base64"), range_end: end.toString("base64") };
    const answer = await fetch(`${etcd.url}/v3/kv/${path}`, { method: "POST", body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`etcd: ${path}: ${answer.status} ${await answer.text()}`);
    const { kvs = [] } = (await answer.json()) as { kvs?: { key: string; value?: string }[] };
    return kvs.map(({ key, value = "" }) => [decoded(key), decoded(value)] as const);
  };
  const decoded = (text: string) => Buffer.from(text, "base64").toString();
  return {
    name: "etcd",
    url: `etcd://${etcd.host}:${etcd.port}`,
    ...server(etcd),
    lines: async () => linesOf((await ask("range", "/portolan/services/")).map(([, value]) => value)),
    dump: async () => JSON.stringify(await ask("range", "/")),
    loseRecords: async () => void (await ask("deleterange", "/portolan/services/")),
  };
}

async function startZookeeperRegistry(): Promise<Registry> {
  // A server grants twenty ticks at most.
  const zookeeper = await startZooKeeper({ tickTime: 2000 });
  const connected = () => {
    const opened = zookeeperClient.createClient(zookeeper.address, { sessionTimeout: 10_000, retries: 5 });
    opened.connect();
    return opened;
  };
  let client = connected();
  const absent = zookeeperClient.Exception.NO_NODE;
  const settled = <T>(instead: T, ask: (done: (error: unknown, value: T) => void) => void): Promise<T> =>
    new Promise((resolve, reject) =>
      ask((error, value) => {
        if (!error) return resolve(value);
        if ((error as { code?: number }).code === absent) return resolve(instead);
        reject(error);
      }),
    );
  const children = (path: string) => settled<string[]>([], (done) => client.getChildren(path, done));
  const data = (path: string) =>
    settled<Buffer | undefined>(undefined, (done) =>
      client.getData(path, (error, value) => done(error, value)),
    );
  /** Leaves and what they hold, the root's own excepted. */
  const below = async (path: string): Promise<readonly (readonly [string, string])[]> => {
    const names = await children(path === "" ? "/" : path);
    const found = await Promise.all(
      names.map(async (name) => {
        const at = `${path}/${name}`;
        const deeper = await below(at);
        return deeper.length > 0 ? deeper : [[at, (await data(at))?.toString() ?? ""] as const];
      }),
    );
    return found.flat();
  };
  const records = async () => {
    const leaves = await below("/portolan/services");
    return leaves.filter(([path, text]) => text !== "" && path.split("/").length === 5);
  };
  const remove = promisify<string, number, void>((path, version, done) =>
    client.remove(path, version, (error) => done(error)),
  );
  return {
    name: "zookeeper",
    url: `zookeeper://${zookeeper.address}/portolan`,
    async wipe() {
      client.close();
      await zookeeper.wipeAndRestart();
      // A server that knows less than a client has seen refuses that client for ever.
      client = connected();
    },
    lines: async () => linesOf((await records()).map(([, text]) => text)),
    dump: async () => JSON.stringify(await below("/portolan")),
    async loseRecords() {
      for (const [path] of await records()) await remove(path, -1);
    },
    async stop() {
      client.close();
      await zookeeper.stop();
    },
  };
}

function fileRegistry(dir: string): Registry {
  const read = (below: string): readonly string[] =>
    readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.parentPath.startsWith(join(dir, below)))
      .flatMap((entry) => {
        try {
          return [`${entry.name}\n${readFileSync(join(entry.parentPath, entry.name), "utf8")}`];
        } catch {
          return []; // it went away meanwhile
        }
      });
  return {
    name: "file",
    url: `file://${dir}`,
    async lines() {
      const records = read("services").filter((text) => /^[^.].*\.json\n/.test(text));
      return linesOf(records.map((text) => text.slice(text.indexOf("\n"))));
    },
    dump: async () => read("").join("\n"),
    async loseRecords() {
      for (const service of readdirSync(join(dir, "services"))) {
        rmSync(join(dir, "services", service), { recursive: true });
      }
    },
    stop: async () => {},
  };
}
