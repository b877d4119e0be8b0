import type { BareStore } from "./store.ts";

/** The bare clients by URL scheme; only the one that is used is loaded. */
const clients: Readonly<Record<string, () => Promise<(url: string) => Promise<BareStore>>>> = {
  file: async () => (await import("./file.ts")).openFile,
  consul: async () => (await import("./consul.ts")).openConsul,
  etcd: async () => (await import("./etcd.ts")).openEtcd,
  zookeeper: async () => (await import("./zookeeper.ts")).openZookeeper,
};

/** Connects to a store, at the URL that the product takes. */
export async function openStore(url: string): Promise<BareStore> {
  const load = clients[new URL(url).protocol.slice(0, -1)];
  if (!load) throw new Error(`${url}: no bare client for it`);
  return (await load())(url);
}
