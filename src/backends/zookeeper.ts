import { readFile } from "node:fs/promises";
import { coded, PortolanError } from "../errors.ts";
import type { Backend, BackendOptions } from "./backend.ts";
import type { BackendUrl } from "./url.ts";
import { type Connection, type ConnectionOptions, connect } from "./zookeeper-connection.ts";
import { createZookeeperLease } from "./zookeeper-lease.ts";
import { createZookeeperWatch } from "./zookeeper-watch.ts";

/** Milliseconds: a dead server is noticed after two thirds of it. */
const readerTimeout = 10_000;
const readerLimit = 5_000;

/**
 * `zookeeper://h1:2181[,h2…]/chroot`. Records are the ephemeral nodes `<chroot>/services/<service>/<id>`; each
 * host holds its own, and `<chroot>/nodes/<node>`, in one session. Readers have another session, so that
 * reading never keeps the records of a registrator alive that no longer renews.
 */
export async function openZookeeper(url: BackendUrl, _options: BackendOptions): Promise<Backend> {
  const bad = (what: string) => new PortolanError("BACKEND_URL", `backend "${url.title}": ${what}`);
  const layout = url.query.get("layout") ?? "portolan";
  if (layout !== "portolan") throw bad(`layout "${layout}" is not available yet; leave it out`);
  for (const parameter of ["ca", "cert", "key", "token-file"]) {
    if (url.query.has(parameter))
      throw bad(`"${parameter}" is not available for ZooKeeper yet; leave it out`);
  }
  if (/\/\.{0,2}(\/|$)/.test(url.path)) throw bad(`"${url.path}" is not a path of ZooKeeper nodes`);
  const user = url.query.get("user");
  const passwordFile = url.query.get("password-file");
  if ((user === undefined) !== (passwordFile === undefined)) {
    throw bad("user and password-file belong together; give both");
  }
  const password =
    passwordFile === undefined
      ? undefined
      : await readFile(passwordFile, "utf8").catch((error: unknown) => {
          throw coded("BACKEND_URL", error, `backend "${url.title}": password-file: `);
        });
  const digest = password === undefined ? undefined : `${user}:${password.replace(/\r?\n$/, "")}`;

  const closed = new AbortController();
  const hosts = shuffled(url.hosts.length > 0 ? url.hosts : [{ host: "127.0.0.1", port: undefined }]);

  /** Tries each host once, beginning with the one that answered last. */
  const dial = async (
    want: Pick<ConnectionOptions, "timeout" | "limit" | "session" | "keepAlive" | "signal">,
  ): Promise<Connection> => {
    let failure: unknown;
    for (const { host, port = 2181 } of [...hosts]) {
      try {
        return await connect({ ...want, host, port, digest, limit: want.limit / hosts.length });
      } catch (error) {
        if (!(error instanceof PortolanError && error.code === "BACKEND_UNREACHABLE")) throw error;
        failure = error;
        hosts.push(...hosts.splice(0, 1));
      }
    }
    throw failure;
  };

  const watch = createZookeeperWatch(
    (signal) => dial({ timeout: readerTimeout, limit: readerLimit, keepAlive: true, signal }),
    `${url.path}/services`,
  );
  return {
    title: url.title,
    capabilities: { expiry: "session", checks: false },
    observe: watch.observe,
    lease: (owner, ttl) =>
      createZookeeperLease(
        (want) => dial({ ...want, timeout: ttl * 1000, keepAlive: false, signal: closed.signal }),
        url.path,
        owner,
      ),
    async close() {
      watch.close();
      closed.abort();
    },
  };
}

/** In random order, so that clients spread over the servers. */
function shuffled<T>(list: readonly T[]): T[] {
  return list
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
