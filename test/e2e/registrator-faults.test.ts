import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { everything } from "../faults/fault.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { importWebImage, runWeb, type WebContainer } from "../servers/image.ts";
import { waitFor } from "../servers/wait.ts";
import { startProgram } from "./program.ts";
import {
  atLast,
  holds,
  inSync,
  nodeOf,
  offers,
  registratorArgs,
  type Scenario,
  type Site,
  type Sites,
  scenario,
  shortTtl,
  startSites,
  stopSites,
  truth,
  witness,
} from "./registrator-world.ts";
import { type Line, type RegistryName, storeNames } from "./registries.ts";

let host: DockerHost;
let sites: Sites;
/** What runs all the time. */
let stays: readonly Line[];
beforeAll(async () => {
  host = await startDockerHost({ liveRestore: true });
  await importWebImage(host);
  for (const name of ["stays-1", "stays-2"]) await web(name);
  stays = await truth(host);
  expect(stays).toHaveLength(2);
  sites = await startSites(host, { stores });
});
afterAll(async () => {
  await stopSites(sites);
  await host?.stop();
});

const web = (name: string, on = host, args: readonly string[] = []): Promise<WebContainer> =>
  runWeb(on, { name, publish: ["80"], labels: { SERVICE_NAME: `the-${name}` }, args });
const isTrue = (site: Site, patience?: { within: number }) => holds(site, () => truth(host), patience);
/** Consul's KV store too in `npm run soak:faults`. */
const stores: readonly RegistryName[] = everything ? [...storeNames, "consulkv"] : storeNames;
const onAll = <T>(name: string, faults: Scenario<T>) => scenario(name, () => sites, faults, stores);

describe("the registrator is gone for a while", () => {
  let ends: WebContainer;
  beforeAll(async () => {
    ends = await web("ends");
  });

  onAll("R1 R2 R3: killed, while one container ends and another starts", {
    async begin(site) {
      await isTrue(site);
      const watch = witness(site, stays);
      await site.registrator.kill();
      return watch;
    },
    async fault() {
      await ends.remove();
      await web("comes");
    },
    async end(site, watch) {
      await site.registrator.start();
      await inSync(site);
      await isTrue(site);
      const { missed, looks } = await watch.stop();
      expect(missed).toEqual([]);
      expect(looks).toBeGreaterThan(5);
    },
  });

  onAll("R2 R3: stopped and started", {
    begin: async (site) => witness(site, stays),
    async end(site, watch) {
      await site.registrator.restart("stop");
      await inSync(site);
      await isTrue(site);
      expect((await watch.stop()).missed).toEqual([]);
    },
  });
});

describe("R5: the store forgets", () => {
  onAll("all records, and nobody is told", {
    begin: (site) => isTrue(site),
    async end(site) {
      await site.registry.loseRecords();
      expect(await site.registry.lines()).toEqual([]);
      await isTrue(site, { within: 60_000 });
    },
  });

  onAll("everything, leases too", {
    begin: (site) => isTrue(site),
    async end(site) {
      await site.registry.wipe?.();
      await isTrue(site, { within: 60_000 });
      await inSync(site);
      await offers(site, () => truth(host));
    },
  });
});

describe("R8: a Docker that keeps its containers alive", () => {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    onAll(`is restarted by ${signal}`, {
      async begin(site) {
        await isTrue(site);
        return witness(site, await truth(host));
      },
      async fault() {
        await host.restart({ signal });
      },
      async end(site, watch) {
        await inSync(site);
        await isTrue(site);
        expect((await watch.stop()).missed).toEqual([]);
      },
    });
  }
});

describe("a new registrator starts beside the old one", () => {
  onAll("R2 R3: takes over, and the old one's lease takes nothing with it when it runs out", {
    begin: async (site) => witness(site, stays),
    async end(site, watch) {
      const { registry } = site;
      // The first one's lease is long and given up, the second one's is short and runs out.
      for (let upgrade = 0; upgrade < 2; upgrade++) {
        const old = site.registrator;
        const args = registratorArgs(host, nodeOf(registry), [registry.url], { ttl: shortTtl });
        site.registrator = await startProgram("registrator", args);
        await inSync(site);
        await old.stop();
      }
      await sleep(shortTtl * 1300);
      await isTrue(site);
      expect((await watch.stop()).missed).toEqual([]);
    },
  });
});

describe("R10: the registrator stands still", () => {
  onAll("shorter than its lease: nothing changes", {
    begin: async (site) => witness(site, stays),
    async end(site, watch) {
      site.registrator.pause();
      // Long enough for a heartbeat to be missed.
      await sleep(shortTtl * 370);
      site.registrator.resume();
      await inSync(site);
      await isTrue(site);
      expect((await watch.stop()).missed).toEqual([]);
    },
  });

  let ends: WebContainer;
  beforeAll(async () => {
    ends = await web("ends-meanwhile");
  });
  onAll("longer than its lease: nothing is offered, then everything that runs", {
    async begin(site) {
      await isTrue(site);
      site.registrator.pause();
      await offers(site, async () => []);
    },
    async fault() {
      await ends.remove();
      await web("comes-meanwhile");
    },
    async end(site) {
      site.registrator.resume();
      await isTrue(site);
      await inSync(site);
      await offers(site, () => truth(host));
    },
  });
});

describe("the same node name on two Dockers", () => {
  let other: DockerHost;
  const strangers = new Map<string, Site>();
  beforeAll(async () => {
    other = await startDockerHost();
    await importWebImage(other);
    await web("other-1", other, ["--restart", "always"]);
    await web("other-2", other);
  });
  afterAll(async () => {
    await Promise.all([...strangers.values()].map(({ registrator }) => registrator.stop()));
    await other?.stop();
  });
  const stranger = (site: Site): Site => {
    const found = strangers.get(site.registry.name);
    if (found === undefined) throw new Error("the scenario before did not start it");
    return found;
  };

  onAll("R3: the second one is refused, names the first and touches nothing", {
    begin: async (site) => witness(site, await truth(host)),
    async end(site, watch) {
      const { registry } = site;
      const node = nodeOf(registry);
      const registrator = await startProgram(
        "registrator",
        registratorArgs(other, node, [registry.url], { ttl: shortTtl }),
      );
      strangers.set(registry.name, { registry, registrator });
      const engine = await host.docker(["info", "--format", "{{.ID}}"]);
      await waitFor(
        "a refusal that names the first one",
        async () => {
          const reason = await registrator.notReady();
          if (!reason.includes("NODE_TAKEN") || !reason.includes(node) || !reason.includes(engine)) {
            throw new Error(reason);
          }
          return true;
        },
        atLast,
      );
      expect((await fetch(`${registrator.url}/readyz`)).status).toBe(503);
      expect((await fetch(`${registrator.url}/healthz`)).status).toBe(200);
      await isTrue(site);
      expect((await watch.stop()).missed).toEqual([]);
    },
  });

  onAll("R1 R3: the first host dies, its records end with its lease and the second one takes over", {
    begin: (site) => site.registrator.kill(),
    async end(site) {
      await holds(site, () => truth(other), atLast);
      await inSync(stranger(site));
      await offers(site, () => truth(other));
    },
  });

  onAll("R8: a Docker that ends its containers is restarted", {
    begin: async () => {},
    async fault() {
      await other.restart();
      await waitFor("what it starts again", async () => (await truth(other)).length === 1, atLast);
    },
    async end(site) {
      await inSync(stranger(site));
      await holds(site, () => truth(other));
    },
  });
});
