import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { disturbEvents, type EventFaults, type Fates } from "../servers/disturbed-events.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { type DockerProxy, readOnly, startDockerProxy } from "../servers/docker-proxy.ts";
import { importWebImage, runWeb, type WebContainer } from "../servers/image.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { createRandom } from "../soak/random.ts";
import {
  each,
  holds,
  inSync,
  type Sites,
  soon,
  startSitesOfOne,
  stopSites,
  truth,
} from "./registrator-world.ts";
import { type StoreName, storeNames } from "./registries.ts";

/** Nothing is disturbed, unless a test says so. */
const faults: { -readonly [K in keyof EventFaults]: EventFaults[K] } = {
  dropped: 0,
  doubled: 0,
  delayed: 0,
  longest: 0,
};
const fates: Fates = { dropped: 0, doubled: 0, delayed: 0, passed: 0 };
const seed = Date.now() % 1_000_000;
const random = createRandom(seed);

/** The registrator sees Docker through a proxy that forbids all but reading, and disturbs its events. */
let host: DockerHost;
let proxy: DockerProxy;
let sites: Sites;
beforeAll(async () => {
  host = await startDockerHost({ liveRestore: true });
  await importWebImage(host);
  proxy = await startDockerProxy({
    upstream: host.socket,
    listen: join(tempDir("docker-proxy"), "docker.sock"),
    allow: readOnly,
    disturb: disturbEvents(faults, random.next, fates),
  });
  sites = await startSitesOfOne(host, { docker: proxy.url });
});
afterAll(async () => {
  await stopSites(sites);
  await proxy?.stop();
  await host?.stop();
});

const web = (name: string, options: Parameters<typeof runWeb>[1] = {}): Promise<WebContainer> =>
  runWeb(host, {
    name,
    publish: ["80"],
    ...options,
    labels: { SERVICE_NAME: `the-${name}`, ...options.labels },
  });
const site = (name: StoreName) => {
  const found = sites.get(name);
  if (found === undefined) throw new Error(`${name} was not started`);
  return found;
};

describe("R4: events that are dropped, doubled, late and out of order", () => {
  beforeAll(async () => {
    Object.assign(faults, { dropped: 0.3, doubled: 0.2, delayed: 0.4, longest: 3_000 });
    // A stream of its own for each connection: it is broken once in the middle as well.
    const containers = await Promise.all(["one", "two", "three", "four"].map((name) => web(name)));
    const lives = containers.map(async (container, at) => {
      for (let round = 0; round < 5; round++) {
        const kind = (at + round) % 4;
        if (kind === 0) await container.stop(1);
        if (kind === 1) await container.kill();
        if (kind === 2) await host.docker(["restart", "--time", "1", container.id]);
        if (kind === 3) await host.docker(["pause", container.id]);
        if (kind === 3) await host.docker(["unpause", container.id]);
        if (kind < 2 && round < 4) await container.start();
        if (round === 2) await host.docker(["rename", container.id, `${container.name}-again`]);
      }
    });
    await Promise.all(lives);
  });

  it.each(storeNames)("%s holds in the end what Docker runs", async (name) => {
    expect(fates.dropped, `seed ${seed}`).toBeGreaterThan(0);
    expect(fates.delayed, `seed ${seed}`).toBeGreaterThan(0);
    expect((await truth(host)).length).toBeGreaterThan(0);
    // What was lost is found by the next full read.
    await holds(site(name), () => truth(host), { within: 60_000 }).catch((error: Error) => {
      throw new Error(`seed ${seed}: ${error.message}`);
    });
  });

  afterAll(async () => {
    Object.assign(faults, { dropped: 0, doubled: 0, delayed: 0, longest: 0 });
  });
});

it("only labels and SERVICE_ variables leave the host", async () => {
  const secret = "hunter2-canary-value";
  const container = await web("discreet", {
    env: {
      DATABASE_PASSWORD: secret,
      MY_SERVICE_TOKEN: secret,
      service_token: secret,
      SERVICE: secret,
      SERVICE_80_COLOR: "blue",
    },
    labels: { SERVICE_REGION: "north" },
    args: ["--entrypoint", "sh"],
    command: ["-c", `true ${secret}; sleep 1000`],
  });
  await each(sites, (at) => holds(at, () => truth(host)));
  await container.kill();
  await container.start();
  await each(sites, (at) => holds(at, () => truth(host)));
  for (const [name, { registry, registrator }] of sites) {
    const content = await registry.dump();
    expect(content, name).toContain("blue");
    expect(content, name).toContain("north");
    expect(content, name).not.toContain(secret);
    expect(readFileSync(registrator.logFile, "utf8")).not.toContain(secret);
    const pages = await Promise.all(
      ["", "status", "readyz", "healthz", "metrics"].map(async (path) =>
        (await fetch(`${registrator.url}/${path}`)).text(),
      ),
    );
    expect(pages.join("\n")).not.toContain(secret);
  }
  await container.remove();
});

it("start, change, restart of Docker and stop need nothing but reading", async () => {
  const [at] = sites.values();
  if (at === undefined) throw new Error("no site");
  await at.registrator.restart("stop");
  await inSync(at);
  const container = await web("life", {
    args: ["--health-cmd", "test -e /tmp/well", "--health-interval", "200ms", "--health-retries", "1"],
  });
  await host.docker(["exec", container.id, "touch", "/tmp/well"]);
  const isReady = (line: string) => line.includes(" life ") && line.endsWith(" ready");
  await each(sites, ({ registry }) =>
    waitFor("a healthy container", async () => (await registry.lines()).some(isReady), soon),
  );
  await host.docker(["network", "create", "further"]);
  await host.docker(["network", "connect", "further", container.id]);
  await host.docker(["rename", container.id, "life-again"]);
  await host.restart();
  await inSync(at);
  await container.stop(1);
  await each(sites, (one) => holds(one, () => truth(host)));
  await at.registrator.stop();

  const calls = proxy.calls();
  expect([...new Set(calls.map(({ path }) => path.replace(/[0-9a-f]{64}/, "ID")))].sort()).toEqual(
    expect.arrayContaining(["/containers/ID/json", "/containers/json", "/events", "/info"]),
  );
  expect(calls.filter(({ allowed }) => !allowed)).toEqual([]);
});
