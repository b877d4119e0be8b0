// Redis in containers: a master, two replicas, and a Sentinel that watches them.
import { createClient } from "@redis/client";
import { ensureInstalled } from "../../test/servers/install.ts";
import { waitFor } from "../../test/servers/wait.ts";
import { writeArchive } from "../failover/archive.ts";
import type { Containers } from "../failover/containers.ts";
import { type Cluster, RefusedBySlave, type Session, type Store } from "../failover/store.ts";

const servers = ["redis-1", "redis-2", "redis-3"];
const port = 6379;
const sentinelPort = 26379;

/** ms that anything may take that happens by itself. */
const patience = { within: 60_000, every: 50 };

/**
 * A Redis keeps no data on the disk here, and a configuration file, as everywhere: Sentinel has it rewritten when a
 * role changes, so that who dies as master comes back as master. The name of its data file is the server's, which
 * tells clients who answers: CONFIG GET dbfilename.
 */
const script = (server: string) => `#!/bin/sh
if [ ! -e /tmp/conf ]; then
  if [ -n "$MONITOR" ]; then
    echo "port ${sentinelPort}"
    echo "sentinel monitor main $MONITOR ${port} 1"
    echo "sentinel down-after-milliseconds main 1000"
    echo "sentinel failover-timeout main 5000"
  else
    echo "port ${port}"
    echo "protected-mode no"
    echo 'save ""'
    echo "dir /tmp"
    echo "dbfilename $NAME"
    echo "repl-diskless-sync-delay 0"
    echo "repl-ping-replica-period 1"
    [ -z "$MASTER" ] || echo "replicaof $MASTER ${port}"
  fi > /tmp/conf
fi
exec ${server} /tmp/conf $SENTINEL
`;

/** Redis with a Sentinel. */
export const redis: Store = redisStore(startSentinel);

/** Redis that nobody watches: whoever wants another master says so (`handOver`). */
export const unwatchedRedis: Store = redisStore(async () => {});

function redisStore(watch: (containers: Containers, master: string) => Promise<void>): Store {
  return {
    title: "Redis",
    service: "redis",
    port,
    // HAProxy asks for the role, too.
    labels: { SERVICE_ROLE_CHECK: "redis" },
    programs: ["redis"],

    async archive(dir) {
      const { redis: found, busybox } = await ensureInstalled(["redis", "busybox"]);
      const parts = { binaries: [found.server], folders: [], script: script(found.server), ...busybox };
      return writeArchive(dir, parts);
    },

    async start(containers) {
      const addresses = new Map<string, string>();
      const addressOf = (name: string) => addresses.get(name) ?? "";
      const [first = "", ...others] = servers;
      addresses.set(first, await containers.run(first, { NAME: first }));
      for (const name of others) {
        addresses.set(name, await containers.run(name, { NAME: name, MASTER: addressOf(first) }));
      }
      const attached = (master: string) =>
        waitFor("the replicas", () => areAttached(addressOf(master)), patience);
      await attached(first);
      // Now, because Sentinel hears of replicas from the master, and asks it rarely.
      await watch(containers, addressOf(first));
      return {
        servers,
        addressOf,
        connect,
        kill: containers.kill,
        promotion: "Sentinel makes it the master",
        promote: async () => {},
        revive: async (name) => void addresses.set(name, await containers.start(name)),
        return: "Sentinel makes it a slave",
        rejoin: async (_, master) => void (await attached(master)),
      };
    },
  };
}

async function areAttached(master: string): Promise<boolean> {
  const text = await ask(master, port, ["INFO", "replication"]);
  const online = String(text).match(/^slave\d+:.*state=online/gm) ?? [];
  return online.length === servers.length - 1;
}

async function startSentinel(containers: Containers, master: string): Promise<void> {
  const address = await containers.run("sentinel", { MONITOR: master, SENTINEL: "--sentinel" }, true);
  const knowsAll = async () => {
    const found = await ask(address, sentinelPort, ["SENTINEL", "REPLICAS", "main"]);
    return Array.isArray(found) && found.length === servers.length - 1;
  };
  await waitFor("Sentinel", knowsAll, patience);
  // How often it asks and publishes, in ms: a master of before is made a slave after four publications. Redis
  // before 7.0 cannot be told, and takes some seconds more.
  const pace = ["info-period", "1000", "publish-period", "1000"];
  await ask(address, sentinelPort, ["SENTINEL", "DEBUG", ...pace]).catch(() => undefined);
}

/** Makes another server the master, and the others its replicas; resolves when it takes writes, before they know. */
export async function handOver(
  { addressOf }: Cluster,
  to: string,
): Promise<{ readonly done: Promise<unknown> }> {
  await ask(addressOf(to), port, ["REPLICAOF", "NO", "ONE"]);
  const follow = ["REPLICAOF", addressOf(to), String(port)];
  return {
    done: Promise.all(
      servers.filter((name) => name !== to).map((name) => ask(addressOf(name), port, follow)),
    ),
  };
}

function clientOf(host: string, to: number, connectTimeout: number) {
  const client = createClient({
    socket: { host, port: to, connectTimeout, reconnectStrategy: false },
    disableOfflineQueue: true,
    RESP: 2,
  });
  // Each failure is also the answer of the command that meets it.
  client.on("error", () => {});
  return client;
}

async function connect(host: string, to: number): Promise<Session> {
  const client = clientOf(host, to, 1_000);
  const close = () => {
    if (client.isOpen) client.destroy();
  };
  let written = 0;
  await client.connect();
  return {
    async write() {
      try {
        // Both go out at once, on the same connection.
        const [, name] = await Promise.all([
          client.sendCommand(["SET", "written", String(++written)]),
          client.sendCommand<string[]>(["CONFIG", "GET", "dbfilename"]),
        ]);
        return name[1] ?? "";
      } catch (error) {
        const { message } = error as Error;
        throw message.startsWith("READONLY") ? new RefusedBySlave(message) : error;
      }
    },
    isMaster: async () => (await client.sendCommand<string[]>(["ROLE"]))[0] === "master",
    close,
  };
}

/** One command on a connection of its own. */
async function ask(host: string, to: number, command: readonly string[]): Promise<unknown> {
  const client = createClient({
    socket: { host, port: to, connectTimeout: 1_000, reconnectStrategy: false },
  });
  client.on("error", () => {});
  await client.connect();
  try {
    return await client.sendCommand([...command]);
  } finally {
    client.destroy();
  }
}
