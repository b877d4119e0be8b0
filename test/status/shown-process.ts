import type { ShownInstance, TemplaterStatus } from "../../src/daemon-status.ts";
import { createMetrics } from "../../src/status/metrics.ts";
import { startStatusServer } from "../../src/status/server.ts";
import type { Token } from "../../src/status/token.ts";

/** A status page of a templater that says what a test wants it to say. */
export interface ShownProcess {
  readonly url: string;
  /** From now on so many instances `web-<n>` are there, ten of each service `service-<n>`. */
  instances(count: number): void;
  /** Changes the instance of this name. */
  change(name: string, change: Partial<ShownInstance>): void;
  close(): Promise<void>;
}

/** Serves the page on a free port, to those who have the token if there is one. */
export async function serveStatus(token?: Token): Promise<ShownProcess> {
  let list: readonly ShownInstance[] = [];
  const metrics = createMetrics();
  const target = "/etc/haproxy/haproxy.cfg";
  const daemon = { notReady: () => [], status: () => statusOf(list, target) };
  const options = { host: "127.0.0.1", port: 0, version: "1.2.3", command: "templater", metrics };
  const server = await startStatusServer({ ...options, token, daemon: () => daemon });
  for (const ms of [12, 80, 400]) metrics.meter.time("apply_latency", { target }, ms);
  for (const result of ["accepted", "refused"]) metrics.meter.count("reloads", { target, result });
  return {
    url: `http://${server.address}/`,
    instances(count) {
      list = Array.from({ length: count }, (_, at) => instance(at));
    },
    change(name, change) {
      list = list.map((one) => (one.container?.name === name ? { ...one, ...change } : one));
    },
    close: server.close,
  };
}

function instance(at: number): ShownInstance {
  const name = `web-${at}`;
  const node = `h${at % 3}`;
  return {
    id: `${node}:${name}:80`,
    service: `service-${Math.floor(at / 10)}`,
    address: "10.0.0.1",
    port: 10_000 + at,
    protocol: "tcp",
    tags: ["blue"],
    meta: {},
    weight: 1,
    state: at % 20 === 19 ? "unhealthy" : "ready",
    node,
    container: { id: `${at}`, name, image: "web:1" },
  };
}

function statusOf(list: readonly ShownInstance[], destination: string): TemplaterStatus {
  const names = [...new Set(list.map(({ service }) => service))].sort();
  const entry = { targets: [destination], cause: ["service web"], tookMs: { reload: 12 } };
  const diff = `--- ${destination}\tbefore\n+++ ${destination}\tafter\n@@ -1 +1 @@\n-a\n+b\n`;
  return {
    backend: "etcd://127.0.0.1:2379",
    problem: undefined,
    staleSeconds: 0,
    services: names.map((name) => {
      const instances = list.filter(({ service }) => service === name);
      const ready = instances.filter(({ state }) => state === "ready").length;
      return { name, count: instances.length, ready, instances };
    }),
    unreadable: [{ place: "/services/web/x", reason: "not JSON" }],
    contested: [],
    targets: [
      {
        ...{ source: "/etc/haproxy.cfg.hbs", destination, reload: "haproxy", hasCheck: true },
        ...{ reason: undefined, revision: 3, reads: { services: names, all: false }, refused: [] },
        rendered: { secondsAgo: 5, tookMs: 1.5 },
        heldBack: names.slice(0, 1).map((service) => ({ service, why: "[ALERT] no" })),
      },
    ],
    journal: [
      {
        ...{ ...entry, number: 2, at: "2026-01-01T00:00:02Z", verdict: "rejected", why: "CHECK_FAILED: no" },
        files: [{ destination, diff }],
        moreFiles: 0,
      },
      {
        ...entry,
        number: 1,
        at: "2026-01-01T00:00:01Z",
        verdict: "applied",
        by: "reload",
        files: [],
        moreFiles: 0,
      },
    ],
  };
}
