import { readFile } from "node:fs/promises";
import { coded, PortolanError } from "../errors.ts";
import type { Backend, BackendOptions } from "./backend.ts";
import { createEtcdClient } from "./etcd-client.ts";
import { createEtcdLease } from "./etcd-lease.ts";
import { createEtcdWatch } from "./etcd-watch.ts";
import type { BackendUrl } from "./url.ts";

/**
 * `etcd://h1:2379,h2:2379/prefix`, API v3. Records are the keys `<prefix>/services/<service>/<id>`, and the
 * host's lease holds them together with `<prefix>/nodes/<node>`; the prefix is `/portolan` when the URL has
 * no path. The server's revisions order everything, so what is shown is complete and never goes back.
 */
export async function openEtcd(url: BackendUrl, _options: BackendOptions): Promise<Backend> {
  const bad = (what: string) => new PortolanError("BACKEND_URL", `backend "${url.title}": ${what}`);
  const layout = url.query.get("layout") ?? "portolan";
  if (layout !== "portolan") throw bad(`layout "${layout}" is not available yet; leave it out`);

  const file = async (parameter: string) => {
    const path = url.query.get(parameter);
    if (path === undefined) return undefined;
    return readFile(path).catch((error: unknown) => {
      throw coded("BACKEND_URL", error, `backend "${url.title}": ${parameter}: `);
    });
  };
  const [ca, cert, key, password] = [
    await file("ca"),
    await file("cert"),
    await file("key"),
    await file("password-file"),
  ];
  if ((cert === undefined) !== (key === undefined)) throw bad("cert and key belong together; give both");
  if (cert && !ca) throw bad("cert and key need ca, the authority that signed the server's certificate");
  const user = url.query.get("user");
  if ((user === undefined) !== (password === undefined)) {
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
      credentials: { rootCertificate: ca, ...(cert && key && { certChain: cert, privateKey: key }) },
    }),
    ...(user !== undefined &&
      password && { auth: { username: user, password: password.toString().replace(/\r?\n$/, "") } }),
  });

  const root = url.path === "" ? "/portolan" : url.path;
  const watch = createEtcdWatch(client, `${root}/services/`);
  return {
    title: url.title,
    capabilities: { expiry: "lease", checks: false },
    observe: watch.observe,
    lease: (owner, ttl) => createEtcdLease(client, root, owner, ttl),
    async close() {
      watch.close();
      client.close();
    },
  };
}
