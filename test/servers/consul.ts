import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { get } from "./http.ts";
import { ensureInstalled } from "./install.ts";
import { freePort, freePorts } from "./ports.ts";
import { tempDir } from "./run.ts";
import { startServer, type TestServer } from "./server.ts";

/** How a Consul agent is started. */
export interface ConsulOptions {
  readonly port?: number;
  readonly dir?: string;
  /** Keeps what it knows over restarts (a one-server cluster); otherwise everything is in memory (`-dev`). */
  readonly persistent?: boolean;
  /** Its node name (default "dev1"). */
  readonly node?: string;
  /** Further configuration in HCL, for example ACLs; Consul 1.8 wants each key on its own line. */
  readonly hcl?: string;
  /** What readiness is asked with, when `hcl` denies anonymous reads. */
  readonly token?: string;
}

/** A Consul server agent on 127.0.0.1. */
export interface Consul extends TestServer {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly node: string;
}

/** Starts a Consul agent and waits until it leads and has itself in its catalog. */
export async function startConsul(options: ConsulOptions = {}): Promise<Consul> {
  const { consul } = await ensureInstalled(["consul"]);
  const port = options.port ?? (await freePort());
  const dir = options.dir ?? tempDir("consul");
  const dataDir = join(dir, "data");
  const node = options.node ?? "dev1";
  const [rpc, serf] = await freePorts(2);
  const config = join(dir, "more.hcl");
  writeFileSync(config, `${options.hcl ?? ""}\nperformance {\n  raft_multiplier = 1\n}\n`);
  const mode = options.persistent ? ["-server", "-bootstrap-expect", "1", "-data-dir", dataDir] : ["-dev"];
  const args = [
    ["agent", ...mode, "-config-file", config, "-node", node, "-bind", "127.0.0.1", "-client", "127.0.0.1"],
    ["-http-port", port, "-server-port", rpc, "-serf-lan-port", serf].map(String),
    ["-serf-wan-port", "-1", "-dns-port", "-1", "-grpc-port", "-1", "-disable-host-node-id"],
  ].flat();
  const url = `http://127.0.0.1:${port}`;
  const token = options.token === undefined ? "" : `?token=${options.token}`;
  const server = await startServer({
    name: "consul",
    command: consul.consul,
    args,
    dir,
    dataDir,
    logFile: join(dir, "consul.log"),
    ready: async () => (await get(`${url}/v1/health/node/${node}${token}`)).includes("serfHealth"),
  });
  return { ...server, url, host: "127.0.0.1", port, node };
}
