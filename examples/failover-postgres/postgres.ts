// PostgreSQL in containers: a primary and a standby that streams from it.
import { dirname, join } from "node:path";
import connectTo from "postgres";
import { ensureInstalled } from "../../test/servers/install.ts";
import { waitFor } from "../../test/servers/wait.ts";
import { writeArchive } from "../failover/archive.ts";
import { type Cluster, RefusedBySlave, type Session, type Store } from "../failover/store.ts";

const servers = ["postgres-1", "postgres-2"];
const port = 5432;

/** ms that a step of the cluster's life may take. */
const patience = { within: 60_000, every: 50 };

/** The first start makes a new primary, or a copy of $PRIMARY; later ones go on with what there is. */
const script = (programs: string) => `#!/bin/sh
set -e
data=/tmp/data
if [ ! -e $data/PG_VERSION ]; then
  if [ -n "$PRIMARY" ]; then
    ${programs}/pg_basebackup -h "$PRIMARY" -U postgres -D $data -R -X stream -c fast
  else
    ${programs}/initdb -D $data -U postgres -A trust -E UTF8 --locale=C --no-sync
    echo "host all,replication all all trust" >> $data/pg_hba.conf
  fi
fi
exec ${programs}/postgres -D $data -p ${port} -c listen_addresses='*' -c unix_socket_directories=/tmp \\
  -c fsync=off -c shared_buffers=16MB -c wal_keep_size=64MB -c timezone=GMT -c log_timezone=GMT
`;

/** PostgreSQL as a failover example sees it. */
export const postgres: Store = {
  title: "PostgreSQL",
  service: "postgres",
  port,
  labels: {},
  programs: ["postgres"],

  async archive(dir) {
    const { postgres: found, busybox } = await ensureInstalled(["postgres", "busybox"]);
    const programs = found.home;
    const release = dirname(programs);
    const loaded = ["libpqwalreceiver", "plpgsql", "dict_snowball"];
    return writeArchive(dir, {
      binaries: [
        ...["postgres", "initdb", "pg_basebackup"].map((name) => join(programs, name)),
        ...loaded.map((name) => join(release, "lib", `${name}.so`)),
      ],
      folders: [release.replace("/lib/", "/share/")],
      script: script(programs),
      ...busybox,
    });
  },

  async start(containers) {
    const addresses = new Map<string, string>();
    const addressOf = (name: string) => addresses.get(name) ?? "";
    const nameOf = (address: string) => servers.find((name) => addressOf(name) === address) ?? address;
    const connect = (host: string, to: number) => connectedSession(host, to, nameOf);
    const isMaster = (name: string) => once(addressOf(name), async (sql) => !(await isStandby(sql)));
    const isAttached = async (master: string) => {
      const [row] = await once(addressOf(master), (sql) => sql`SELECT count(*) FROM pg_stat_replication`);
      return row?.count === "1";
    };
    const standby = async (name: string, master: string) => {
      addresses.set(name, await containers.run(name, { PRIMARY: addressOf(master) }));
      await waitFor("the standby", () => isAttached(master), patience);
    };

    const [first = "", second = ""] = servers;
    addresses.set(first, await containers.run(first, {}));
    await waitFor(first, () => isMaster(first), patience);
    await once(addressOf(first), (sql) => sql`CREATE TABLE written (at timestamptz DEFAULT now())`);
    await standby(second, first);
    const cluster: Cluster = {
      servers,
      addressOf,
      connect,
      promotion: "pg_promote() has made it the primary",
      kill: containers.kill,
      // Nobody watches a PostgreSQL by itself: this is the operator, or Patroni, half a second later.
      async promote([survivor = ""]) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        await once(addressOf(survivor), (sql) => sql`SELECT pg_promote()`);
      },
      revive: async (name) => void addresses.set(name, await containers.start(name)),
      return: "it is made anew, as a copy of the primary",
      async rejoin(name, master) {
        await containers.remove(name);
        await standby(name, master);
      },
    };
    return cluster;
  },
};

/** `patience` is for the connection, in seconds. */
const open = (host: string, to: number, patience: number) =>
  connectTo({
    ...{ host, port: to, user: "postgres", database: "postgres", max: 1, connect_timeout: patience },
    ...{ backoff: false, fetch_types: false, prepare: false, onnotice: () => {} },
  });

async function isStandby(sql: connectTo.Sql): Promise<boolean> {
  const [row] = await sql`SELECT pg_is_in_recovery() AS standby`;
  return row?.standby === true;
}

/** Work on a connection of its own. */
async function once<T>(host: string, work: (sql: connectTo.Sql) => Promise<T>): Promise<T> {
  const sql = open(host, port, 10);
  try {
    return await work(sql);
  } finally {
    void sql.end({ timeout: 0 }).catch(() => {});
  }
}

async function connectedSession(
  host: string,
  to: number,
  nameOf: (address: string) => string,
): Promise<Session> {
  const sql = open(host, to, 1);
  return {
    async write() {
      try {
        const [row] =
          await sql`INSERT INTO written DEFAULT VALUES RETURNING host(inet_server_addr()) AS address`;
        return nameOf(String(row?.address));
      } catch (error) {
        // 25006: the transaction is read-only, as all of a standby's are.
        const { code, message } = error as { code?: string; message: string };
        throw code === "25006" ? new RefusedBySlave(message) : error;
      }
    },
    isMaster: async () => !(await isStandby(sql)),
    close: () => void sql.end({ timeout: 0 }).catch(() => {}),
  };
}
