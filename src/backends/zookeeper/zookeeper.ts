import { setMaxListeners } from "node:events";
import { readFile } from "node:fs/promises";
import { PortolanError } from "../../errors.ts";
import { encodeSegment } from "../../instance.ts";
import { type Backend, type BackendOptions, type Owner, ownerText } from "../backend.ts";
import { listedBy } from "../layouts/claim.ts";
import { createListedLease } from "../layouts/listed-lease.ts";
import { readNamedFile } from "../named-file.ts";
import { createNotes } from "../notes.ts";
import { readPemFiles } from "../pem.ts";
import type { BackendUrl } from "../url.ts";
import { type Connection, type ConnectionOptions, connect } from "./connection.ts";
import { createZookeeperFollow } from "./follow.ts";
import { createZookeeperKv } from "./keys.ts";
import { zookeeperLayout } from "./layouts.ts";
import { createZookeeperLease } from "./lease.ts";
import { createZookeeperListed } from "./listed.ts";
import { createZookeeperLock } from "./lock.ts";
import { holdZookeeperNote } from "./notes.ts";
import type { Connector } from "./session.ts";
import { shareConnection } from "./share-connection.ts";
import { createZookeeperWatch } from "./watch.ts";

/** Milliseconds: a dead server is noticed after two thirds of it. */
const readerTimeout = 10_000;
const readerLimit = 5_000;

/**
 * `zookeeper://h1:2181[,h2…]/chroot`. Records are the ephemeral nodes `<chroot>/services/<service>/<id>`; each
 * host holds its own, and `<chroot>/nodes/<node>`, in one session. Readers of records have another session, so that
 * reading never keeps the records of a registrator alive that no longer renews; watching notes and locks asks
 * nothing of its own accord, and is done in the session of the records where there is one.
 */
export async function openZookeeper(url: BackendUrl, options: BackendOptions): Promise<Backend> {
  const bad = (what: string) => new PortolanError("BACKEND_URL", `backend "${url.title}": ${what}`);
  if (url.query.has("token-file")) {
    throw bad('"token-file" is not available for ZooKeeper, which knows users; use user and password-file');
  }
  const layout = zookeeperLayout(url, options.layout);
  const user = url.query.get("user");
  const passwordFile = url.query.get("password-file");
  if ((user === undefined) !== (passwordFile === undefined)) {
    throw bad("user and password-file belong together; give both");
  }
  const digestIn = (text: string) => `${user}:${text.replace(/\r?\n$/, "")}`;
  const first = await readNamedFile(url, "password-file");
  let last = first && digestIn(first.text);
  /** As the password's file says now: it may be replaced. One that cannot be read then changes nothing. */
  const digestNow = async () => {
    const text = passwordFile === undefined ? "" : await readFile(passwordFile, "utf8").catch(() => "");
    if (text !== "") last = digestIn(text);
    return last;
  };
  const { ca, cert, key } = await readPemFiles(url);
  const tls =
    ca || cert || url.scheme.endsWith("+tls")
      ? { ca: ca?.text, cert: cert?.text, key: key?.text }
      : undefined;

  const closed = new AbortController();
  // Each connection listens to it; that is no leak.
  setMaxListeners(0, closed.signal);
  const hosts = shuffled(url.hosts.length > 0 ? url.hosts : [{ host: "127.0.0.1", port: undefined }]);

  /** Tries each host once, beginning with the one that answered last. */
  const dial = async (
    want: Pick<ConnectionOptions, "timeout" | "limit" | "session" | "keepAlive" | "signal">,
  ): Promise<Connection> => {
    let failure: unknown;
    const digest = await digestNow();
    const isOutdated = async () => (await digestNow()) !== digest;
    for (const { host, port = 2181 } of [...hosts]) {
      const limit = want.limit / hosts.length;
      try {
        return await connect({ ...want, host, port, digest, isOutdated, tls, limit });
      } catch (error) {
        if (!(error instanceof PortolanError && error.code === "BACKEND_UNREACHABLE")) throw error;
        failure = error;
        hosts.push(...hosts.splice(0, 1));
      }
    }
    throw failure;
  };

  const toRead = (signal: AbortSignal) =>
    dial({ timeout: readerTimeout, limit: readerLimit, keepAlive: true, signal });
  const calls = shareConnection(() => toRead(closed.signal));
  /** Of a lock or a note, which a session of its own holds. */
  const holding =
    (ttl: number): Connector =>
    (want) =>
      dial({ ...want, timeout: ttl * 1000, keepAlive: false, signal: closed.signal });
  const watch = createZookeeperWatch(toRead, layout);
  const follow = createZookeeperFollow(toRead);

  /** The lease's connection. Notes and locks are read there, so that a registrator keeps one session alive. */
  let leased: Connection | undefined;
  const lent = () => (leased?.gone.aborted ? undefined : leased);
  const beside = {
    calls: async () => lent() ?? calls(),
    follow: createZookeeperFollow(toRead, lent),
  };
  return {
    title: url.title,
    capabilities: { expiry: "session", checks: false },
    observe: watch.observe,
    lease(owner, ttl, lease) {
      // Nobody beats for ever: without a time to live the session is but a connection.
      const timeout = ttl === 0 ? readerTimeout : ttl * 1000;
      const connector: Connector = async (want) => {
        leased = await dial({ ...want, timeout, keepAlive: ttl === 0, signal: closed.signal });
        beside.follow.move();
        return leased;
      };
      return layout.whole
        ? createZookeeperLease(url.title, connector, layout, owner, ttl, lease)
        : createListedLease(
            url.title,
            createZookeeperListed(connector, layout, owner, ttl, lease?.inherits),
            layout,
            owner,
            lease,
          );
    },
    async living(nodes, signal) {
      const on = await dial({ timeout: readerTimeout, limit: readerLimit, keepAlive: false, signal });
      try {
        await on.catchUp();
        const claimed = new Set(await on.list(`${layout.root}/nodes`));
        return new Set([...nodes].filter((node) => claimed.has(encodeSegment(node))));
      } finally {
        await on.end();
      }
    },
    ...(!layout.whole && {
      async listed(owner: Owner, signal: AbortSignal) {
        const on = await dial({ timeout: readerTimeout, limit: readerLimit, keepAlive: false, signal });
        try {
          await on.catchUp();
          const key = `${layout.root}/nodes/${encodeSegment(owner.node)}`;
          const node = await on.read(key);
          return node ? listedBy(ownerText(owner), [{ key, text: node.text }]) : [];
        } finally {
          await on.end();
        }
      },
    }),
    kv: createZookeeperKv(url.title, calls, follow, url.path),
    lock: (name, contender, ttl) =>
      createZookeeperLock(url.title, holding(ttl), beside.follow, layout.root, { name, contender }),
    notes(area) {
      const place = `${layout.root}/${area}`;
      const nodes = createZookeeperKv(url.title, beside.calls, beside.follow, place);
      return createNotes(nodes, {
        path: "",
        exchange: nodes.exchange,
        hold: (key, ttl) => holdZookeeperNote(url.title, holding(ttl), `${place}/${key}`),
      });
    },
    async close() {
      watch.close();
      follow.close();
      beside.follow.close();
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
