import { readFile } from "node:fs/promises";
import { coded, PortolanError } from "../errors.ts";
import type { Backend, BackendOptions } from "./backend.ts";
import { curatorLayout } from "./layouts/curator.ts";
import { chooseLayout, type Layout, type Layouts, refused } from "./layouts/layout.ts";
import { createListedLease } from "./layouts/listed-lease.ts";
import { portolanLayout } from "./layouts/portolan.ts";
import { registratorNodeLayout } from "./layouts/registrator.ts";
import type { BackendUrl } from "./url.ts";
import { type Connection, type ConnectionOptions, connect } from "./zookeeper-connection.ts";
import { createZookeeperLease } from "./zookeeper-lease.ts";
import { createZookeeperListed } from "./zookeeper-listed.ts";
import type { Connector } from "./zookeeper-node.ts";
import { createZookeeperWatch } from "./zookeeper-watch.ts";

/** Milliseconds: a dead server is noticed after two thirds of it. */
const readerTimeout = 10_000;
const readerLimit = 5_000;

/**
 * Where ZooKeeper's nodes lie. In the foreign layouts each child of the chroot is a service, so that Portolan's
 * own nodes stand elsewhere.
 */
const layouts: Layouts = {
  portolan: (url) => portolanLayout(url.path),
  curator: foreign("curator", curatorLayout),
  registrator: foreign("registrator", registratorNodeLayout),
};

function foreign(name: string, make: (services: string, root: string) => Layout): Layouts[string] {
  return (url) => {
    if (url.path === "" || /^\/(portolan|zookeeper)$/.test(url.path)) {
      throw refused(url, `layout ${name} needs a path of its own, e.g. zookeeper://127.0.0.1:2181/services`);
    }
    return make(url.path, `/portolan/${name}${url.path}`);
  };
}

/**
 * `zookeeper://h1:2181[,h2…]/chroot`. Records are the ephemeral nodes `<chroot>/services/<service>/<id>`; each
 * host holds its own, and `<chroot>/nodes/<node>`, in one session. Readers have another session, so that
 * reading never keeps the records of a registrator alive that no longer renews.
 */
export async function openZookeeper(url: BackendUrl, options: BackendOptions): Promise<Backend> {
  const bad = (what: string) => new PortolanError("BACKEND_URL", `backend "${url.title}": ${what}`);
  for (const parameter of ["ca", "cert", "key", "token-file"]) {
    if (url.query.has(parameter))
      throw bad(`"${parameter}" is not available for ZooKeeper yet; leave it out`);
  }
  if (/\/\.{0,2}(\/|$)/.test(url.path)) throw bad(`"${url.path}" is not a path of ZooKeeper nodes`);
  const layout = chooseLayout(url, layouts, options.layout ?? "portolan");
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
    layout,
  );
  return {
    title: url.title,
    capabilities: { expiry: "session", checks: false },
    observe: watch.observe,
    lease(owner, ttl, lease) {
      // Nobody beats for ever: without a time to live the session is but a connection.
      const timeout = ttl === 0 ? readerTimeout : ttl * 1000;
      const connector: Connector = (want) =>
        dial({ ...want, timeout, keepAlive: ttl === 0, signal: closed.signal });
      return layout.whole
        ? createZookeeperLease(connector, layout, owner, ttl, lease)
        : createListedLease(createZookeeperListed(connector, layout, owner, ttl), layout, owner, lease);
    },
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
