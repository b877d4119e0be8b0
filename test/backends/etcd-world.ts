// A prefix of an etcd, as the contract suite runs in it.
import { Etcd3 } from "etcd3";
import type { Backend } from "../../src/backends/backend.ts";
import { openEtcd } from "../../src/backends/etcd/etcd.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { encodeInstance } from "../../src/instance.ts";
import { type Etcd, startEtcd } from "../servers/etcd.ts";
import { freePort } from "../servers/ports.ts";
import type { World } from "./contract/suite.ts";
import { openGate } from "./gate.ts";

const open = (text: string): Promise<Backend> => openEtcd(parseBackendUrl(text), { env: {} });

/** A world below `root`, with a gate between it and the server. */
export async function etcdWorld(server: Etcd, root: string): Promise<World> {
  const gate = await openGate(server.port);
  const url = `etcd://127.0.0.1:${gate.port}${root}`;
  const bare = new Etcd3({ hosts: server.url });
  let locked: Etcd | undefined;
  return {
    open: () => open(url),
    cut: async () => gate.cut(),
    heal: async () => gate.open(),
    wipe: async () => void (await bare.delete().prefix(root)),
    openUnreachable: async () => open(`etcd://127.0.0.1:${await freePort()}${root}`),
    async openDenied() {
      locked = await startEtcd();
      const admin = new Etcd3({ hosts: locked.url });
      await admin.user("root").create("root");
      await admin.user("root").addRole(await admin.role("root").create());
      await admin.auth.authEnable();
      admin.close();
      return open(`etcd://127.0.0.1:${locked.port}${root}`);
    },
    // A dead process is one that no longer renews.
    openMortal: async () => ({ backend: await open(url), die: async () => {} }),
    async plant(instance) {
      await bare.put(`${root}/services/${instance.service}/${instance.id}`).value(encodeInstance(instance));
    },
    unclaim: async (node) => void (await bare.delete().key(`${root}/nodes/${node}`)),
    async close() {
      bare.close();
      await gate.close();
      await locked?.stop();
    },
  };
}
