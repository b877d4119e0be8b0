// A real etcd for the faults.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Etcd3 } from "etcd3";
import { openBackend } from "../../src/backends/index.ts";
import { startEtcd } from "../servers/etcd.ts";
import { tempDir } from "../servers/run.ts";
import { garbage } from "./garbage.ts";
import type { FaultStore } from "./store.ts";

const large = ["--max-request-bytes", String(16 * 1024 * 1024)];

/** etcd's leases last as long as its election timeout allows. */
export const etcdStore: FaultStore = {
  name: "etcd",
  ttl: 2,
  open: (port, place) => openBackend(`etcd://127.0.0.1:${port}/${place}`, { env: {} }),

  async start() {
    const server = await startEtcd({ args: large });
    return {
      ...server,
      async litter(place, service, size) {
        const bare = new Etcd3({ hosts: server.url });
        const texts = garbage(size);
        for (const [id, text] of texts) await bare.put(`/${place}/services/${service}/${id}`).value(text);
        bare.close();
        return texts.length;
      },
    };
  },

  async startGuarded() {
    const server = await startEtcd({ args: ["--auth-token-ttl", "1"] });
    const bare = new Etcd3({ hosts: server.url });
    await bare.user("root").create("root");
    await bare.user("root").addRole(await bare.role("root").create());
    await bare.user("reader").create("first");
    const role = await bare.role("reader").create();
    await bare.user("reader").addRole(role);
    const right = { permission: "Read", range: bare.range({ prefix: "/guarded/" }) } as const;
    await role.grant(right);
    await bare.auth.authEnable();
    bare.close();
    const root = new Etcd3({ hosts: server.url, auth: { username: "root", password: "root" } });
    const folder = tempDir("etcd-faults");
    const [rootFile, file] = [join(folder, "root"), join(folder, "reader")];
    await writeFile(rootFile, "root");
    await writeFile(file, "first");
    const open = (user: string, path: string) =>
      openBackend(`etcd://127.0.0.1:${server.port}/guarded?user=${user}&password-file=${path}`, { env: {} });
    return {
      ...server,
      openRoot: () => open("root", rootFile),
      openReader: () => open("reader", file),
      revoke: async () => void (await root.role("reader").revoke(right)),
      grant: async () => void (await root.role("reader").grant(right)),
      change: async () => void (await root.auth.userChangePassword({ name: "reader", password: "second" })),
      tell: () => writeFile(file, "second"),
      async stop() {
        root.close();
        await server.stop();
      },
    };
  },
};
