import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, type TestContext } from "vitest";
import type { Backend, Observation } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import type { Instance } from "../../src/instance.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { importWebImage, removeWebContainers, runWeb } from "../servers/image.ts";
import { type Redis, startRedis } from "../servers/redis.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { type Program, startProgram } from "./program.ts";
import { atLast, inSync, longTtl, registratorArgs, shortTtl, soon } from "./registrator-world.ts";
import { type ReadRegistry, type StoreName, startRegistry, storeNames } from "./registries.ts";

let hosts: readonly DockerHost[];
let registries: ReadonlyMap<StoreName, ReadRegistry>;
const readers = new Map<StoreName, { backend: Backend; observation: Observation }>();
beforeAll(async () => {
  hosts = await Promise.all([startDockerHost(), startDockerHost()]);
  await Promise.all(hosts.map(importWebImage));
  registries = new Map(
    await Promise.all(
      storeNames.map(async (name): Promise<[StoreName, ReadRegistry]> => [name, await startRegistry(name)]),
    ),
  );
  for (const [name, { url }] of registries) {
    const backend = await openBackend(url, { env: {} });
    readers.set(name, { backend, observation: backend.observe({ services: "all" }) });
  }
});
afterAll(async () => {
  await Promise.all([...readers.values()].map(({ backend }) => backend.close()));
  await Promise.all([...(registries?.values() ?? [])].map((registry) => registry.stop()));
  await Promise.all((hosts ?? []).map((host) => host.stop()));
});

const hostAt = (at: number): DockerHost => {
  const host = hosts[at];
  if (!host) throw new Error(`no host ${at}`);
  return host;
};

/** A registrator on a host, named after it, as long as the test goes on. */
async function register(
  { onTestFinished }: TestContext,
  at: number,
  urls: readonly string[],
  args: readonly string[] = [],
  ttl = shortTtl,
): Promise<Program> {
  const options = { ttl, args };
  const program = await startProgram("registrator", registratorArgs(hostAt(at), `host${at}`, urls, options));
  onTestFinished(program.stop);
  return program;
}

/** What a reader of a store sees of a service, by container. */
function seen(store: StoreName, service: string): ReadonlyMap<string, Instance> {
  const observed = readers.get(store)?.observation.current();
  const list = (observed?.known && observed.value.services.get(service)) || [];
  return new Map(list.map((instance) => [instance.container?.name ?? "", instance]));
}

const rolesOf = (store: StoreName, service: string) =>
  Object.fromEntries([...seen(store, service)].map(([name, { role }]) => [name, role ?? "none"]));

describe("SERVICE_ROLE=redis", () => {
  let one: Redis;
  let two: Redis;
  beforeAll(async () => {
    one = await startRedis({ password: "geheim" });
    two = await startRedis({ replicaOf: one.port, password: "geheim" });
  });
  afterAll(() => Promise.all([one?.stop(), two?.stop()]));
  afterEach(() => removeWebContainers(hostAt(0)));

  /** A container whose record leads to a server of this test. */
  const container = (name: string, { port }: Redis) =>
    runWeb(hostAt(0), {
      name,
      publish: ["80"],
      labels: {
        SERVICE_NAME: "cache",
        SERVICE_ROLE: "redis",
        SERVICE_IP: "127.0.0.1",
        SERVICE_PORT: String(port),
        SERVICE_TAGS: "blue",
      },
    });

  it("follows what the servers say, in every store, and says why it does not know", async (context) => {
    const file = join(tempDir("redis"), "password");
    const urls = [...registries.values()].map(({ url }) => url);
    const registrator = await register(context, 0, urls, ["--probe-credentials", `cache=:${file}`]);
    await Promise.all([container("one", one), container("two", two)]);
    const everywhere = (what: string, roles: Readonly<Record<string, string>>, within = soon) =>
      waitFor(
        what,
        () => storeNames.every((store) => JSON.stringify(rolesOf(store, "cache")) === JSON.stringify(roles)),
        within,
      ).catch((error: Error) => {
        const now = storeNames.map((store) => `${store} ${JSON.stringify(rolesOf(store, "cache"))}`);
        throw new Error(`${error.message}: ${now.join(", ")}`, { cause: error });
      });

    await everywhere("no role without the password", { one: "none", two: "none" });
    await waitFor(
      "the reason",
      async () => JSON.stringify(await registrator.status()).includes("--probe-credentials cannot be read"),
      soon,
    );
    writeFileSync(file, "geheim\n");
    await everywhere("the roles", { one: "master", two: "slave" });
    const master = seen("etcd", "cache").get("one");
    expect(master).toMatchObject({ role: "master", tags: ["blue", "master"], claim: { by: "redis" } });
    expect(seen("etcd", "cache").get("two")?.tags).toEqual(["blue", "slave"]);
    for (const store of storeNames) expect(seen(store, "cache").get("two")?.claim).toBeUndefined();

    await two.command("REPLICAOF", "NO", "ONE");
    await one.command("REPLICAOF", "127.0.0.1", String(two.port));
    await everywhere("the roles after a failover", { one: "slave", two: "master" });

    two.pause();
    await everywhere("no role of a server that stands still", { one: "slave", two: "none" }, atLast);
    two.resume();
    await everywhere("its role when it goes on", { one: "slave", two: "master" });
  });

  it("keeps the role over a restart of the registrator", async (context) => {
    const { url } = registries.get("etcd") as ReadRegistry;
    const file = join(tempDir("redis"), "password");
    writeFileSync(file, "geheim");
    const args = ["--probe-credentials", `redis=:${file}`];
    const first = await register(context, 0, [url], args, longTtl);
    await container("two", two);
    const isMaster = () => rolesOf("etcd", "cache").two === "master";
    await waitFor("the master", isMaster, soon);
    const lost: string[] = [];
    const unsubscribe = readers.get("etcd")?.observation.subscribe(() => {
      if (!isMaster()) lost.push(JSON.stringify(rolesOf("etcd", "cache")));
    });
    await first.stop();
    const second = await register(context, 0, [url], args, longTtl);
    await inSync({ registrator: second });
    unsubscribe?.();
    expect(lost).toEqual([]);
  });
});

// They mostly wait, for leases that run out: all stores at once.
describe.concurrent.each(storeNames)("SERVICE_ROLE=elect on %s", (store) => {
  it("has one master, another one when its container ends, and one when its host is lost", async (context) => {
    const { url } = registries.get(store) as ReadRegistry;
    const service = `app-${store}`;
    const labels = { SERVICE_NAME: service, SERVICE_ROLE: "elect", "test.store": store };
    const registrators = await Promise.all(
      [0, 1].map((at) => register(context, at, [url], ["--select", `test.store=${store}`])),
    );
    const run = async (at: number, name: string) => {
      const container = await runWeb(hostAt(at), { name, publish: ["80"], labels });
      context.onTestFinished(container.remove);
      return container;
    };
    const [first, second, third] = ["1", "2", "3"].map((n) => `${service}-${n}`) as [string, string, string];
    const [one, two, three] = await Promise.all([run(0, first), run(0, second), run(1, third)]);
    const masters = () => [...seen(store, service).values()].filter(({ role }) => role === "master");
    const several: string[] = [];
    const unsubscribe = readers.get(store)?.observation.subscribe(() => {
      const claims = masters().map(({ id, claim }) => `${id} ${claim?.epoch}`);
      // A claim that is being replaced may stand for a moment, but never with the same token.
      if (new Set(masters().map(({ claim }) => claim?.epoch)).size < claims.length)
        several.push(claims.join());
    });
    const settled = (what: string, names: readonly string[], within = soon) =>
      waitFor(
        what,
        () => {
          const roles = rolesOf(store, service);
          const values = names.map((name) => roles[name]);
          return (
            values.filter((role) => role === "master").length === 1 &&
            values.filter((role) => role === "slave").length === names.length - 1 &&
            masters()[0]
          );
        },
        within,
      );

    const elected = await settled("one master of three", [first, second, third]);
    expect(elected.claim).toMatchObject({ by: "elect", epoch: expect.stringMatching(/^\d+$/) });
    expect(elected.tags).toContain("master");

    const all = new Map([one, two, three].map((container) => [container.name, container]));
    const name = elected.container?.name ?? "";
    await all.get(name)?.kill();
    const left = [...all.keys()].filter((one) => one !== name);
    const next = await settled("another master after its end", left);
    expect(BigInt(next.claim?.epoch ?? 0)).toBeGreaterThan(BigInt(elected.claim?.epoch ?? 0));

    // The whole host of the master goes, without a word.
    const at = next.node === "host0" ? 0 : 1;
    const survivors = left.filter((one) => seen(store, service).get(one)?.node !== next.node);
    if (survivors.length > 0) {
      await registrators[at]?.kill();
      const last = await settled("a master on the host that is left", survivors, atLast);
      expect(BigInt(last.claim?.epoch ?? 0)).toBeGreaterThan(BigInt(next.claim?.epoch ?? 0));
    }
    unsubscribe?.();
    expect(several).toEqual([]);
  });
});
