import { PortolanError } from "../errors.ts";
import type { Backend, BackendOptions } from "./backend.ts";
import { type BackendUrl, parseBackendUrl } from "./url.ts";

type Factory = (url: BackendUrl, options: BackendOptions) => Promise<Backend>;

/** Every backend by URL scheme. A backend's client is loaded only when its scheme is used. */
const factories: Readonly<Record<string, () => Promise<Factory>>> = {
  memory: async () => (await import("./memory.ts")).openMemory,
  file: async () => (await import("./file/file.ts")).openFile,
  consul: async () => (await import("./consul/consul.ts")).openConsul,
  "consul+tls": async () => (await import("./consul/consul.ts")).openConsul,
  "consul+unix": async () => (await import("./consul/consul.ts")).openConsul,
  "consul-tls": async () => (await import("./consul/consul.ts")).openConsul,
  "consul-unix": async () => (await import("./consul/consul.ts")).openConsul,
  consulkv: async () => (await import("./consulkv/consulkv.ts")).openConsulkv,
  "consulkv+tls": async () => (await import("./consulkv/consulkv.ts")).openConsulkv,
  "consulkv+unix": async () => (await import("./consulkv/consulkv.ts")).openConsulkv,
  "consulkv-tls": async () => (await import("./consulkv/consulkv.ts")).openConsulkv,
  "consulkv-unix": async () => (await import("./consulkv/consulkv.ts")).openConsulkv,
  etcd: async () => (await import("./etcd/etcd.ts")).openEtcd,
  "etcd+tls": async () => (await import("./etcd/etcd.ts")).openEtcd,
  zookeeper: async () => (await import("./zookeeper/zookeeper.ts")).openZookeeper,
  "zookeeper+tls": async () => (await import("./zookeeper/zookeeper.ts")).openZookeeper,
};

/** The schemes that begin a backend URL, for telling URLs from other words on a command line. */
export const schemes: readonly string[] = Object.keys(factories);

/** Opens a backend. Rejects with BACKEND_URL for a URL it cannot use; an unreachable server is no error. */
export async function openBackend(text: string, options: BackendOptions): Promise<Backend> {
  const url = parseBackendUrl(text);
  const load = factories[url.scheme];
  if (!load) {
    throw new PortolanError(
      "BACKEND_URL",
      `backend "${url.title}": unknown scheme "${url.scheme}"; known are ${schemes.join(", ")}`,
    );
  }
  const open = await load();
  return open(url, options);
}
