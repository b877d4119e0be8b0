import { readFile } from "node:fs/promises";
import { PortolanError } from "../../errors.ts";
import { encodeSegment } from "../../instance.ts";
import { type Backend, type BackendOptions, type Owner, ownerText } from "../backend.ts";
import { listedBy } from "../layouts/claim.ts";
import { createListedLease } from "../layouts/listed-lease.ts";
import { type NamedFile, readNamedFile } from "../named-file.ts";
import { createNotes } from "../notes.ts";
import { readPemFiles } from "../pem.ts";
import type { BackendUrl } from "../url.ts";
import { createEtcdClient, type EtcdUser } from "./client.ts";
import { createFollowings } from "./follow.ts";
import { createEtcdKv } from "./keys.ts";
import { etcdLayout } from "./layouts.ts";
import { createEtcdLease } from "./lease.ts";
import { createEtcdListed } from "./listed.ts";
import { createEtcdLock } from "./lock.ts";
import { exchangeEtcdNote, holdEtcdNote } from "./notes.ts";
import { createEtcdWatch } from "./watch.ts";

/**
 * `etcd://h1:2379,h2:2379/prefix`, API v3. Records are the keys `<prefix>/services/<service>/<id>`, and the
 * host's lease holds them together with `<prefix>/nodes/<node>`; the prefix is `/portolan` when the URL has
 * no path. The server's revisions order everything, so what is shown is complete and never goes back.
 */
export async function openEtcd(url: BackendUrl, options: BackendOptions): Promise<Backend> {
  const bad = (what: string) => new PortolanError("BACKEND_URL", `backend "${url.title}": ${what}`);
  const layout = etcdLayout(url, options.layout);

  const { ca, cert, key } = await readPemFiles(url);
  if (cert && !ca) throw bad("cert and key need ca, the authority that signed the server's certificate");
  const name = url.query.get("user");
  const password = await readNamedFile(url, "password-file");
  if ((name === undefined) !== (password === undefined)) {
    throw bad("user and password-file belong together; give both");
  }

  const protocol = ca || url.scheme.endsWith("+tls") ? "https" : "http";
  const given = url.hosts.length > 0 ? url.hosts : [{ host: "127.0.0.1", port: undefined }];
  const hosts = given.map(({ host, port = 2379 }) => {
    return `${protocol}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  });
  const client = createEtcdClient(url.title, {
    hosts,
    ...(ca && {
      credentials: {
        rootCertificate: Buffer.from(ca.text),
        ...(cert && key && { certChain: Buffer.from(cert.text), privateKey: Buffer.from(key.text) }),
      },
    }),
    ...(protocol === "https" && {
      trusted: ca?.path ?? "the authorities that this system trusts",
    }),
    ...(name !== undefined && password && { user: userOf(name, password) }),
  });

  const { follow, stop } = createFollowings(client);
  const watch = createEtcdWatch(follow, layout);
  const kv = createEtcdKv(client, follow);
  return {
    title: url.title,
    capabilities: { expiry: "lease", checks: false },
    observe: watch.observe,
    lease: (owner, ttl, lease) =>
      layout.whole
        ? createEtcdLease(client, layout, owner, ttl, lease)
        : createListedLease(
            url.title,
            createEtcdListed(client, layout, owner, ttl, lease?.inherits),
            layout,
            owner,
            lease,
          ),
    async living(nodes, signal) {
      const place = `${layout.root}/nodes/`;
      const claimed = new Set((await client.list(place, signal)).entries.map(({ key }) => key));
      return new Set([...nodes].filter((node) => claimed.has(`${place}${encodeSegment(node)}`)));
    },
    ...(!layout.whole && {
      async listed(owner: Owner, signal: AbortSignal) {
        return listedBy(ownerText(owner), (await client.list(`${layout.root}/nodes/`, signal)).entries);
      },
    }),
    kv,
    lock: (name, contender, ttl) => createEtcdLock(client, layout.root, follow, { name, contender, ttl }),
    notes: (area) =>
      createNotes(kv, {
        path: `${layout.root}/${area}`,
        hold: (key, ttl) => holdEtcdNote(client, key, ttl),
        exchange: (...args) => exchangeEtcdNote(client, ...args),
      }),
    async close() {
      watch.close();
      stop();
      client.close();
    },
  };
}

/** A user whose password is read again when the server refuses it. A file that cannot be read then changes nothing. */
function userOf(name: string, { path, text }: NamedFile): EtcdUser {
  const line = (content: string) => content.replace(/\r?\n$/, "");
  let last = line(text);
  return {
    name,
    password: () => last,
    async refresh() {
      const next = line(await readFile(path, "utf8").catch(() => "")) || last;
      const changed = next !== last;
      last = next;
      return changed;
    },
  };
}
