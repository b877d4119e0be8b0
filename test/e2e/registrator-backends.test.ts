import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { importWebImage, runWeb, type WebContainer } from "../servers/image.ts";
import { type FaultProxy, startFaultProxy } from "../servers/proxy.ts";
import { waitFor } from "../servers/wait.ts";
import { type Program, startProgram } from "./program.ts";
import {
  atLast,
  holds,
  inSync,
  registratorArgs,
  shortTtl,
  soon,
  truth,
  witness,
} from "./registrator-world.ts";
import { type Line, type ReadRegistry, startRegistry } from "./registries.ts";

/** One registrator, a Consul that is well, and an etcd behind a proxy that is not. */
let host: DockerHost;
let consul: ReadRegistry;
let etcd: ReadRegistry;
let well: FaultProxy;
let sick: FaultProxy;
let registrator: Program;
/** When each heartbeat went to Consul. */
const beats: number[] = [];
/** What runs all the time. */
let stays: readonly Line[];

const behind = (url: string, proxy: FaultProxy) => url.replace(/\/\/[^/]+/, `//127.0.0.1:${proxy.port}`);
const upstreamOf = (url: string) => ({ port: Number(/:(\d+)/.exec(url.replace(/^\w+:/, ""))?.[1]) });
const start = (...args: string[]) =>
  startProgram(
    "registrator",
    registratorArgs(host, "two", [behind(etcd.url, sick), behind(consul.url, well)], { ttl: shortTtl, args }),
  );

beforeAll(async () => {
  [host, consul, etcd] = await Promise.all([
    startDockerHost(),
    startRegistry("consul"),
    startRegistry("etcd"),
  ]);
  await importWebImage(host);
  await web("stays");
  stays = await truth(host);
  well = await startFaultProxy({
    upstream: upstreamOf(consul.url),
    onChunk(direction, chunk) {
      if (direction === "toServer" && chunk.includes("/v1/agent/check/pass")) beats.push(performance.now());
    },
  });
  sick = await startFaultProxy({ upstream: upstreamOf(etcd.url) });
  registrator = await start();
  await inSync({ registrator });
});
afterAll(async () => {
  await registrator?.stop();
  await Promise.all([well?.stop(), sick?.stop()]);
  await Promise.all([consul?.stop(), etcd?.stop(), host?.stop()]);
});

const web = (name: string): Promise<WebContainer> =>
  runWeb(host, { name, publish: ["80"], labels: { SERVICE_NAME: `the-${name}` } });
interface Status {
  readonly backends: readonly { readonly backend: string; readonly problem?: string }[];
}
const problems = async () =>
  ((await registrator.status()) as Status).backends.map(({ problem }) => problem !== undefined);

describe.each<[name: string, begin: () => void, end: () => void]>([
  ["answers nothing any more", () => sick.drop(), () => sick.cut()],
  ["refuses connections", () => sick.refuse(), () => {}],
  // Longer than a call may take: 5 s.
  ["takes 6 s for each answer", () => sick.latency(6000, "toClient"), () => sick.latency(0)],
])("an etcd that %s", (_name, begin, end) => {
  let before: readonly Line[];
  beforeAll(async () => {
    await holds({ registry: etcd }, () => truth(host));
    before = await truth(host);
    begin();
  });
  afterAll(async () => {
    end();
    await sick.pass();
  });

  it("delays neither registrations nor removals nor heartbeats in Consul", async () => {
    const watch = witness({ registry: consul }, stays);
    beats.length = 0;
    const began = performance.now();
    const took: number[] = [];
    const isThere = async () => {
      const changed = performance.now();
      await holds({ registry: consul }, () => truth(host), soon);
      took.push(performance.now() - changed);
    };
    for (let round = 0; round < 3; round += 1) {
      const container = await web(`comes-${round}`);
      await isThere();
      await host.docker(["pause", container.id]);
      await isThere();
      await host.docker(["unpause", container.id]);
      await container.remove();
      await isThere();
    }
    const last = await web("last");
    await isThere();
    // Long enough for the lease in Consul to run out twice, if nobody renewed it.
    await sleep(Math.max(0, began + 2 * shortTtl * 1000 - performance.now()));
    const gaps = beats.slice(1).map((at, index) => at - (beats[index] ?? 0));
    expect(Math.max(...gaps), `${gaps.map(Math.round)}`).toBeLessThan((shortTtl * 1000 * 2) / 3);
    expect((await watch.stop()).missed).toEqual([]);
    expect(Math.max(...took), `${took.map(Math.round)}`).toBeLessThan(soon.within);

    expect(await registrator.notReady()).toContain("etcd://");
    expect(await registrator.notReady()).not.toContain("consul://");
    expect(await problems()).toEqual([true, false]);
    expect((await fetch(`${registrator.url}/healthz`)).status).toBe(200);
    expect(await etcd.lines()).not.toEqual(await truth(host));
    await last.remove();
    await isThere();
    await web("last");
  });

  it("has everything once it is well again", async () => {
    end();
    await sick.pass();
    await holds({ registry: etcd }, () => truth(host), atLast);
    await inSync({ registrator });
    expect(await problems()).toEqual([false, false]);
    expect(await truth(host)).not.toEqual(before);
    await host.docker(["rm", "--force", "last"]);
  });
});

it("ends in time where one backend hangs, and has removed its records from the other", async () => {
  await registrator.stop();
  registrator = await start("--on-exit", "deregister");
  await inSync({ registrator });
  sick.drop();
  const container = await web("begun");
  await holds({ registry: consul }, () => truth(host));
  const began = performance.now();
  process.kill(registrator.pid(), "SIGTERM");
  await waitFor("its end", () => !registrator.isRunning(), { within: 20_000 });
  // SIGTERM leaves 5 s to a process.
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(await consul.lines()).toEqual([]);
  await container.remove();
});
