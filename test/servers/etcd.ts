import { join } from "node:path";
import { type EtcdRelease, etcdProgram } from "./etcd-package.ts";
import { get } from "./http.ts";
import { freePort } from "./ports.ts";
import { tempDir } from "./run.ts";
import { startServer, type TestServer } from "./server.ts";

/** How an etcd is started; `args` are appended to its command line. */
export interface EtcdOptions {
  readonly port?: number;
  readonly dir?: string;
  readonly args?: readonly string[];
  /** Default: installed. */
  readonly release?: EtcdRelease;
}

/** A one-member etcd on 127.0.0.1, without TLS and users. */
export interface Etcd extends TestServer {
  readonly url: string;
  readonly host: string;
  readonly port: number;
}

/** Starts an etcd and waits until it has elected itself. */
export async function startEtcd(options: EtcdOptions = {}): Promise<Etcd> {
  const program = await etcdProgram(options.release ?? "installed");
  const port = options.port ?? (await freePort());
  const dir = options.dir ?? tempDir("etcd");
  const dataDir = join(dir, "data");
  const url = `http://127.0.0.1:${port}`;
  const peers = `http://127.0.0.1:${await freePort()}`;
  const args = [
    ["--name", "s1", "--data-dir", dataDir],
    ["--listen-client-urls", url, "--advertise-client-urls", url],
    ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", `s1=${peers}`],
    ["--heartbeat-interval", "20", "--election-timeout", "200"],
    ["--bcrypt-cost", "4"], // the usual one is a tenth of a second of a processor for each command of a user
    options.args ?? [],
  ].flat();
  const server = await startServer({
    name: "etcd",
    command: program,
    args,
    dir,
    dataDir,
    logFile: join(dir, "etcd.log"),
    env: { ETCD_UNSUPPORTED_ARCH: process.arch }, // 3.4 refuses arm64 without it
    ready: async () => (await get(`${url}/health`)).includes('"true"'),
  });
  return { ...server, url, host: "127.0.0.1", port };
}
