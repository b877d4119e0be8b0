import { startConsul } from "../../servers/consul.ts";
import { startEtcd } from "../../servers/etcd.ts";
import { get } from "../../servers/http.ts";

/** The stores that are asked by many hosts. */
export const busyStores = ["etcd", "consul"] as const;
export type BusyStore = (typeof busyStores)[number];

/** A server that counts what it does, and keeps what it has over a restart. */
export interface BusyServer {
  /** As the product takes it. */
  readonly url: string;
  /** Heartbeats and writes since it started. */
  counts(): Promise<{ readonly beats: number; readonly writes: number }>;
  kill(): Promise<void>;
  /** Resolves when it answers. */
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
      url: `etcd://${server.host}:${server.port}/registrators`,
      counts: () => countsIn(`${server.url}/metrics`, names),
    };
  },
  async consul() {
    const hcl = [
      'log_level = "INFO"',
      // All come from one address here, and Consul takes 200 connections of one.
      "limits {\n  http_max_conns_per_client = 16000\n}",
      'telemetry {\n  prometheus_retention_time = "1h"\n}',
    ].join("\n");
    const server = await startConsul({ persistent: true, hcl });
    const names = {
      beats: /^consul_http_PUT_v1_agent_check_pass_+count/,
      writes: /^consul_http_(PUT|DELETE)_(?!v1_agent_check_pass_)\w+_count/,
    };
    return {
      ...server,
      url: `consul://${server.host}:${server.port}`,
      counts: () => countsIn(`${server.url}/v1/agent/metrics?format=prometheus`, names),
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
