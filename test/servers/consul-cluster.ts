// Consul servers on loopback that elect a leader among themselves, and agents that join them.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Consul } from "./consul.ts";
import { get } from "./http.ts";
import { ensureInstalled } from "./install.ts";
import { freePorts } from "./ports.ts";
import { tempDir } from "./run.ts";
import { startServer } from "./server.ts";

/** What a cluster is made of. */
export interface ConsulClusterOptions {
  /** Its servers (3). */
  readonly servers?: number;
  /** Further configuration of all of its agents, in HCL. */
  readonly hcl?: string;
}

/** A cluster of servers. */
export interface ConsulCluster {
  readonly members: readonly Consul[];
  /** The member that leads now. */
  leader(): Promise<Consul>;
  /** Starts an agent of the cluster that is no server, as each host has one. */
  join(node: string): Promise<Consul>;
  /** Ends what still runs of it, at once. */
  stop(): Promise<void>;
}

interface Place {
  readonly node: string;
  readonly http: number;
  readonly rpc: number;
  readonly serf: number;
}

/** Starts the servers and waits until they have elected one of them. */
export async function startConsulCluster(options: ConsulClusterOptions = {}): Promise<ConsulCluster> {
  const { servers = 3, hcl = "" } = options;
  const places = await Promise.all(Array.from({ length: servers }, (_, at) => placeOf(`s${at + 1}`)));
  const peers = places.map(({ serf }) => `127.0.0.1:${serf}`);
  const members = await Promise.all(
    places.map((place) => startAgent(place, peers, hcl, ["-server", "-bootstrap-expect", `${servers}`])),
  );
  const joined: Consul[] = [];
  return {
    members,
    async leader() {
      for (;;) {
        const asked = members.find((member) => member.isRunning());
        const answer = await get(`${asked?.url}/v1/status/leader`).catch(() => "");
        const at = places.findIndex(({ rpc }) => answer.includes(`:${rpc}"`));
        const found = members[at];
        if (found?.isRunning()) return found;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async join(node) {
      const agent = await startAgent(await placeOf(node), peers, hcl, []);
      joined.push(agent);
      return agent;
    },
    async stop() {
      await Promise.all([...joined, ...members].map((member) => member.kill()));
    },
  };
}

async function placeOf(node: string): Promise<Place> {
  const [http = 0, rpc = 0, serf = 0] = await freePorts(3);
  return { node, http, rpc, serf };
}

async function startAgent(
  { node, http, rpc, serf }: Place,
  peers: readonly string[],
  hcl: string,
  role: readonly string[],
): Promise<Consul> {
  const { consul } = await ensureInstalled(["consul"]);
  const dir = tempDir(`consul-${node}`);
  const dataDir = join(dir, "data");
  const config = join(dir, "more.hcl");
  writeFileSync(config, `${hcl}\nperformance {\n  raft_multiplier = 1\n}\n`);
  const url = `http://127.0.0.1:${http}`;
  const server = await startServer({
    name: `consul-${node}`,
    command: consul.consul,
    args: [
      ["agent", ...role, "-data-dir", dataDir, "-config-file", config, "-node", node],
      ["-bind", "127.0.0.1", "-client", "127.0.0.1", ...peers.flatMap((peer) => ["-retry-join", peer])],
      ["-http-port", http, "-server-port", rpc, "-serf-lan-port", serf].map(String),
      ["-serf-wan-port", "-1", "-dns-port", "-1", "-grpc-port", "-1", "-disable-host-node-id"],
      ["-retry-interval", "1s"],
    ].flat(),
    dir,
    dataDir,
    logFile: join(dir, "consul.log"),
    readyWithin: 60_000,
    ready: async () => (await get(`${url}/v1/health/node/${node}`)).includes("serfHealth"),
  });
  return { ...server, url, host: "127.0.0.1", port: http, node };
}
