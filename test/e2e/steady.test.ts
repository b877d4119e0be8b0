import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { Instance } from "../../src/instance.ts";
import { startConsul } from "../servers/consul.ts";
import { dockerCli } from "../servers/docker.ts";
import { startEtcd } from "../servers/etcd.ts";
import { runWeb, type WebContainer } from "../servers/image.ts";
import { type FaultProxy, startFaultProxy } from "../servers/proxy.ts";
import { waitFor } from "../servers/wait.ts";
import { startZooKeeper } from "../servers/zookeeper.ts";
import { portolan, startProgram } from "./program.ts";

/** The seconds of a TTL in these tests, and so three heartbeats in the seconds that are watched. */
const ttl = 4;

interface Store {
  readonly proxy: FaultProxy;
  readonly url: string;
  /** Requests since the counts were reset, by kind. */
  counts(): Readonly<Record<string, number>>;
  /** The kinds that only read or beat. */
  readonly harmless: RegExp;
  stop(): Promise<void>;
}

const stores: Readonly<Record<string, () => Promise<Store>>> = {
  async consul() {
    const consul = await startConsul();
    const proxy = await startFaultProxy({ upstream: consul, protocol: "http" });
    return {
      proxy,
      url: `consul://${proxy.host}:${proxy.port}`,
      harmless: /^(GET |PUT \/v1\/agent\/check\/pass)/,
      counts: () =>
        tally(proxy.counts().requests.map(({ method, path }) => `${method} ${path.replace(/[?].*/, "")}`)),
      stop: async () => void (await Promise.all([proxy.stop(), consul.stop()])),
    };
  },
  async etcd() {
    const etcd = await startEtcd();
    const proxy = await startFaultProxy({ upstream: etcd, protocol: "http2" });
    return {
      proxy,
      url: `etcd://${proxy.host}:${proxy.port}`,
      // Every call opens one stream with one HEADERS frame; PING and SETTINGS are the connection's own.
      harmless: /^HEADERS$/,
      counts: () => ({ HEADERS: proxy.counts().frames.HEADERS ?? 0 }),
      stop: async () => void (await Promise.all([proxy.stop(), etcd.stop()])),
    };
  },
  async zookeeper() {
    const zookeeper = await startZooKeeper();
    const proxy = await startFaultProxy({ upstream: zookeeper, protocol: "zookeeper" });
    return {
      proxy,
      url: `zookeeper://${proxy.host}:${proxy.port}/portolan`,
      harmless: /^(ping|exists|getData|getChildren2?)$/i,
      counts: () => proxy.counts().frames,
      stop: async () => void (await Promise.all([proxy.stop(), zookeeper.stop()])),
    };
  },
};

function tally(kinds: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of kinds) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

describe.each(Object.entries(stores))("%s in steady state", (name, start) => {
  const docker = dockerCli(inject("docker"));
  let store: Store;
  const containers: WebContainer[] = [];
  beforeAll(async () => {
    store = await start();
  });
  afterAll(async () => {
    await Promise.all(containers.map((container) => container.remove()));
    await store?.stop();
  });

  it("R9: one heartbeat per host however many containers, and no write when nothing has changed", async () => {
    const label = `steady-${name}`;
    const seen: number[] = [];
    for (const count of [2, 8]) {
      while (containers.length < count) {
        containers.push(await runWeb(docker, { labels: { "portolan.e2e": label }, publish: ["80"] }));
      }
      const registrator = await startProgram("registrator", [
        ...["--docker", inject("docker").dockerHost, "--ip", inject("docker").address],
        ...["--node", label, "--select", `portolan.e2e=${label}`, "--ttl", `${ttl}s`, "--resync", "60s"],
        store.url,
      ]);
      await waitFor("sync", async () => (await registrator.notReady()) === "", { within: 10_000 });
      const services = await portolan(["services", "--json", store.url]);
      const ours = (JSON.parse(services.stdout) as Instance[]).filter(({ node }) => node === label);
      expect(ours).toHaveLength(count);
      store.proxy.resetCounts();
      const seconds = ttl * 1.5;
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      const counts = store.counts();
      await registrator.stop();
      for (const kind of Object.keys(counts)) expect(kind, JSON.stringify(counts)).toMatch(store.harmless);
      const total = Object.values(counts).reduce((sum, n) => sum + n, 0);
      // One heartbeat per third of the TTL, one of them on the edge, and no read, since R is longer.
      expect(total, JSON.stringify(counts)).toBeLessThanOrEqual(Math.ceil(seconds / (ttl / 3)) + 1);
      expect(total, JSON.stringify(counts)).toBeGreaterThanOrEqual(3);
      seen.push(total);
    }
    expect(Math.abs((seen[0] ?? 0) - (seen[1] ?? 0))).toBeLessThanOrEqual(1);
  });
});
