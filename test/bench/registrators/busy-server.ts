import type { Consul } from "../../servers/consul.ts";
import { startConsulCluster } from "../../servers/consul-cluster.ts";
import { startEtcd } from "../../servers/etcd.ts";
import { get } from "../../servers/http.ts";

/** The stores that are asked by many hosts. */
export const busyStores = ["etcd", "consul"] as const;
export type BusyStore = (typeof busyStores)[number];

/**
 * Agents of Consul that share the hosts, in front of one server. Each host has one of its own; a process for each of
 * them would fill the machine, and with all of them one agent does nothing but wait for its own lock.
 */
const consulAgents = 10;

/** A store that counts what it does, and keeps what it has over a restart. */
export interface BusyServer {
  /** As the product takes them: hosts take turns in using one. */
  readonly urls: readonly string[];
  /** Heartbeats and writes since it started. */
  counts(): Promise<{ readonly beats: number; readonly writes: number }>;
  kill(): Promise<void>;
  /** Resolves when all of it answers. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one. */
export const startBusyServer: Readonly<Record<BusyStore, () => Promise<BusyServer>>> = {
  async etcd() {
    const server = await startEtcd();
    const names = {
      beats: /^grpc_server_msg_received_total\{.*grpc_method="LeaseKeepAlive"/,
      writes: /^etcd_(debugging_)?mvcc_(put|delete)_total/,
    };
    return {
      ...server,
      urls: [`etcd://${server.host}:${server.port}/registrators`],
      counts: () => countsIn(`${server.url}/metrics`, names),
    };
  },
  async consul() {
    const hcl = [
      'log_level = "INFO"',
      // The hosts of an agent come from one address here, and Consul takes 200 connections of one.
      "limits {\n  http_max_conns_per_client = 16000\n}",
      'telemetry {\n  prometheus_retention_time = "1h"\n}',
    ].join("\n");
    const cluster = await startConsulCluster({ servers: 1, hcl });
    const agents = await Promise.all(
      Array.from({ length: consulAgents }, (_, at) => cluster.join(`agent-${at}`)),
    );
    const names = {
      beats: /^consul_http_PUT_v1_agent_check_pass_+count/,
      writes: /^consul_http_(PUT|DELETE)_(?!v1_agent_check_pass_)\w+_count/,
    };
    const all = [...cluster.members, ...agents];
    const each = async (act: (of: Consul) => Promise<void>) => void (await Promise.all(all.map(act)));
    return {
      urls: agents.map(({ host, port }) => `consul://${host}:${port}`),
      async counts() {
        const metrics = agents.map(({ url }) => countsIn(`${url}/v1/agent/metrics?format=prometheus`, names));
        const counts = await Promise.all(metrics);
        return {
          beats: counts.reduce((sum, { beats }) => sum + beats, 0),
          writes: counts.reduce((sum, { writes }) => sum + writes, 0),
        };
      },
      kill: () => each((one) => one.kill()),
      start: () => each((one) => one.start()),
      stop: cluster.stop,
    };
  },
};

/** The sums of what a page for Prometheus says under these names. */
async function countsIn(url: string, names: Readonly<Record<"beats" | "writes", RegExp>>) {
  const lines = (await get(url)).split("\n");
  const sum = (name: RegExp) =>
    lines.filter((line) => name.test(line)).reduce((all, line) => all + Number(line.split(" ").at(-1)), 0);
  return { beats: sum(names.beats), writes: sum(names.writes) };
}
