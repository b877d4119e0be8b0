import { Etcd3 } from "etcd3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Backend, instancesOf, ownerText } from "../../src/backends/backend.ts";
import { openEtcd } from "../../src/backends/etcd/etcd.ts";
import { registratorLayout } from "../../src/backends/layouts/registrator.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { encodeInstance } from "../../src/instance.ts";
import { type Etcd, startEtcd } from "../servers/etcd.ts";
import { signal } from "./backend-stage.ts";
import { contractSuite, eventually, someInstance, someOwner } from "./contract/suite.ts";
import { listedSuite } from "./layouts-suite.ts";

let server: Etcd;
let bare: Etcd3;
let worlds = 0;
const open = (path: string, layout = "registrator"): Promise<Backend> =>
  openEtcd(parseBackendUrl(`etcd://127.0.0.1:${server.port}${path}?layout=${layout}`), { env: {} });
const prefix = () => {
  worlds += 1;
  return `/l${worlds}/services`;
};
const put = async (key: string, text: string) => void (await bare.put(key).value(text));
const keysBelow = async (path: string) => {
  const { kvs } = await bare.getAll().prefix(path).exec();
  return new Map(kvs.map((kv) => [kv.key.toString(), { text: kv.value.toString(), lease: kv.lease }]));
};

beforeAll(async () => {
  server = await startEtcd();
  bare = new Etcd3({ hosts: server.url });
});
afterAll(async () => {
  bare.close();
  await server.stop();
});

const anywhere = registratorLayout("", "");
contractSuite({
  name: "etcd: with the layout of registrator",
  ttl: 2,
  shown: (instance) => anywhere.read(anywhere.keyOf(instance), anywhere.textOf(instance) ?? ""),
  skips: { states: "only ready instances stand there" },
  async start() {
    const path = prefix();
    const node = (name: string) => `portolan/registrator${path}/nodes/${name}`;
    return {
      open: () => open(path),
      openMortal: async () => ({ backend: await open(path), die: async () => {} }),
      plant: ({ service, id, address, port }) => put(`${path}/${service}/${id}`, `${address}:${port}`),
      // Without the list, nobody knows whose its keys were: who removes it removes them.
      async unclaim(name) {
        const { keys } = JSON.parse((await bare.get(node(name)).string()) ?? "{}") as { keys: string[] };
        for (const key of [node(name), ...keys]) await bare.delete().key(key);
      },
      close: async () => {},
    };
  },
});

listedSuite({
  name: "etcd: with the layout of registrator",
  ttl: 30,
  async start() {
    const path = prefix();
    return {
      open: () => open(path),
      keyOf: ({ service, id }) => `${path}/${service}/${id}`,
      put,
      read: async (key) => (await bare.get(key).string()) ?? undefined,
      readNode: async (node) =>
        (await bare.get(`portolan/registrator${path}/nodes/${node}`).string()) ?? undefined,
    };
  },
});

describe("etcd: layouts", () => {
  it("keeps registrator's keys, and its own where nobody who reads below a slash sees them", async () => {
    const path = prefix();
    const backend = await open(path);
    const owner = someOwner();
    const lease = backend.lease(owner, 30);
    await lease.renew(signal);
    const instances = [
      someInstance(owner, { id: `${owner.node}:web-1:80` }),
      someInstance(owner, {
        id: `${owner.node}:web-1:53:udp`,
        address: "fd00::5",
        port: 53,
        protocol: "udp",
      }),
    ];
    await Promise.all(instances.map((instance) => lease.register(instance, signal)));
    const there = await keysBelow("/");
    expect([...there].filter(([key]) => key.startsWith(path)).map(([key, { text }]) => [key, text])).toEqual([
      [`${path}/web/${owner.node}:web-1:53:udp`, "[fd00::5]:53"],
      [`${path}/web/${owner.node}:web-1:80`, "10.0.0.5:32768"],
    ]);
    const node = (await keysBelow("portolan/")).get(`portolan/registrator${path}/nodes/${owner.node}`);
    expect(JSON.parse(node?.text ?? "")).toEqual({
      owner: ownerText(owner),
      run: owner.run,
      lease: BigInt(node?.lease ?? 0).toString(16),
      keys: instances.map(({ id }) => `${path}/web/${id}`).sort(),
      records: instances
        .map(encodeInstance)
        .sort()
        .map((text) => JSON.parse(text)),
    });
    const leases = [...there].filter(([key]) => key.startsWith(path)).map(([, { lease }]) => lease);
    expect(new Set([...leases, node?.lease]).size).toBe(1);
    await lease.release(signal);
    expect((await keysBelow(path)).size).toBe(0);
    await backend.close();
  });

  it("takes away what another registrator left of an instance that is not ready", async () => {
    const path = prefix();
    const backend = await open(path);
    const owner = someOwner();
    const instance = someInstance(owner, { state: "unhealthy" });
    await put(`${path}/web/${instance.id}`, "10.0.0.5:32768");
    const lease = backend.lease(owner, 30, { adopt: (id) => id === instance.id });
    await lease.renew(signal);
    expect(await lease.owned(signal)).toMatchObject([{ id: instance.id, state: "ready" }]);
    await lease.register(instance, signal);
    expect((await keysBelow(`${path}/`)).size).toBe(0);
    expect((await lease.owned(signal)).map(encodeInstance)).toEqual([encodeInstance(instance)]);
    await lease.release(signal);
    await backend.close();
  });

  it("writes what CoreDNS reads, below its own domain only", async () => {
    const backend = await open("/Docker.Local", "skydns");
    const owner = someOwner({ node: "Host1" });
    const lease = backend.lease(owner, 30);
    await lease.renew(signal);
    await lease.register(someInstance(owner), signal);
    await lease.register(someInstance(owner, { id: "Host1:web-2:80", state: "draining" }), signal);
    const there = await keysBelow("/skydns/");
    expect([...there].map(([key, { text }]) => [key, text])).toEqual([
      [
        "/skydns/local/docker/web/host1-web-1-80",
        '{"host":"10.0.0.5","port":32768,"priority":10,"weight":1,"ttl":30}',
      ],
    ]);
    const observation = backend.observe({ services: new Set(["web"]) });
    const seen = await eventually(observation, (s) => instancesOf(s, "web")?.length === 1);
    expect(instancesOf(seen, "web")?.[0]).toMatchObject({
      id: "host1-web-1-80",
      node: "10.0.0.5",
      weight: 1,
    });
    await observation.close();
    expect(await lease.owned(signal)).toHaveLength(2);
    await lease.release(signal);
    await backend.close();
  });

  it("holds 500 instances with few requests, and hands all of them over", async () => {
    const path = prefix();
    const backend = await open(path);
    const owner = someOwner();
    const lease = backend.lease(owner, 30);
    await lease.renew(signal);
    const instances = Array.from({ length: 500 }, (_, n) =>
      someInstance(owner, { service: `s${n % 10}`, id: `${owner.node}:c${n}:80`, port: 1000 + n }),
    );
    const before = BigInt((await bare.getAll().prefix(path).exec()).header.revision);
    await Promise.all(instances.map((instance) => lease.register(instance, signal)));
    const { header, kvs } = await bare.getAll().prefix(`${path}/`).exec();
    expect(kvs).toHaveLength(500);
    // Each transaction is one revision.
    expect(BigInt(header.revision) - before).toBeLessThan(30n);
    const old = kvs[0]?.lease;
    const next = backend.lease({ ...owner, run: "next" }, 30);
    await next.renew(signal);
    const moved = (await bare.getAll().prefix(`${path}/`).exec()).kvs;
    expect(moved).toHaveLength(500);
    expect(moved.filter((kv) => kv.lease === old)).toEqual([]);
    const owned = new Set((await next.owned(signal)).map(encodeInstance));
    expect(owned).toEqual(new Set(instances.map(encodeInstance)));
    await next.release(signal);
    await backend.close();
  });

  it("names the layouts that it has, and what skydns lacks", async () => {
    await expect(open("", "curator")).rejects.toMatchObject({
      code: "BACKEND_URL",
      message: expect.stringContaining("it has portolan, registrator, skydns") as string,
    });
    for (const path of ["", "/a/b", "/a..b"]) {
      await expect(open(path, "skydns")).rejects.toMatchObject({ code: "BACKEND_URL" });
    }
  });
});
