import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type Backend, instancesOf, ownerText } from "../../src/backends/backend.ts";
import { curatorLayout } from "../../src/backends/layouts/curator.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { type Connection, connect } from "../../src/backends/zookeeper/connection.ts";
import { openZookeeper } from "../../src/backends/zookeeper/zookeeper.ts";
import { encodeInstance } from "../../src/instance.ts";
import { signal } from "./backend-stage.ts";
import { contractSuite, eventually, someInstance, someOwner } from "./contract/suite.ts";
import { listedSuite } from "./layouts-suite.ts";

const server = inject("zookeeper");
let bare: Connection;
let worlds = 0;
const open = (path: string, layout: string): Promise<Backend> =>
  openZookeeper(parseBackendUrl(`zookeeper://${server.address}${path}?layout=${layout}`), { env: {} });
const chroot = () => {
  worlds += 1;
  return `/zookeeper-layouts-${process.pid}/${worlds}`;
};
/** As somebody else would write it: for ever. */
const put = async (path: string, text: string) => {
  if ((await bare.write(path, text)) === undefined) await bare.create(path, text, "persistent");
};

beforeAll(async () => {
  const { host, port } = server;
  bare = await connect({ host, port, timeout: 10_000, limit: 5_000, keepAlive: true, signal });
});
afterAll(() => bare.end());

const anywhere = curatorLayout("", "");
contractSuite({
  name: "zookeeper: with the layout of Curator",
  ttl: 2,
  shown: (instance) => anywhere.read(anywhere.keyOf(instance), anywhere.textOf(instance) ?? ""),
  skips: { states: "only ready instances stand there" },
  async start() {
    const path = chroot();
    const node = (name: string) => `/portolan/curator${path}/nodes/${name}`;
    return {
      open: () => open(path, "curator"),
      async openMortal() {
        const backend = await open(path, "curator");
        return { backend, die: () => backend.close() };
      },
      plant: (instance) => put(`${path}/${instance.service}/${instance.id}`, anywhere.textOf(instance) ?? ""),
      // Without the list, nobody knows whose its nodes were: who removes it removes them.
      async unclaim(name) {
        const { keys } = JSON.parse((await bare.read(node(name)))?.text ?? "{}") as { keys: string[] };
        for (const key of [node(name), ...keys]) await bare.remove(key);
      },
      close: async () => {},
    };
  },
});

listedSuite({
  name: "zookeeper: with the layout of registrator",
  ttl: 10,
  async start() {
    const path = chroot();
    return {
      open: () => open(path, "registrator"),
      keyOf: ({ service, address, port }) => `${path}/${service}/${address}:${port}`,
      put,
      read: async (key) => (await bare.read(key))?.text,
      readNode: async (node) => (await bare.read(`/portolan/registrator${path}/nodes/${node}`))?.text,
    };
  },
});

describe("zookeeper: layouts", () => {
  it("keeps registrator's nodes, all of one session, and nothing else below the path", async () => {
    const path = chroot();
    const backend = await open(path, "registrator");
    const owner = someOwner();
    const lease = backend.lease(owner, 10);
    await lease.renew(signal);
    const instance = someInstance(owner, { id: `${owner.node}:web-1:80`, tags: ["blue"], meta: { a: "b" } });
    await lease.register(instance, signal);
    expect(await bare.list(path)).toEqual(["web"]);
    expect(await bare.list(`${path}/web`)).toEqual(["10.0.0.5:32768"]);
    const node = await bare.read(`/portolan/registrator${path}/nodes/${owner.node}`);
    expect(await bare.read(`${path}/web/10.0.0.5:32768`)).toMatchObject({
      text:
        '{"Name":"web","IP":"10.0.0.5","PublicPort":32768,"PrivatePort":80,"ContainerID":"9f86d081884c",' +
        '"Tags":["blue"],"Attrs":{"a":"b"}}',
      version: 0,
      holder: node?.holder,
    });
    expect(JSON.parse(node?.text ?? "")).toMatchObject({
      owner: ownerText(owner),
      run: owner.run,
      keys: [`${path}/web/10.0.0.5:32768`],
      records: [JSON.parse(encodeInstance(instance))],
    });
    const observation = backend.observe({ services: "all" });
    const seen = await eventually(observation, (s) => instancesOf(s, "web")?.length === 1);
    expect(instancesOf(seen, "web")?.[0]).toMatchObject({
      id: "10.0.0.5:32768",
      node: "10.0.0.5",
      tags: ["blue"],
      meta: { a: "b" },
    });
    expect([...seen.services.keys()]).toEqual(["web"]);
    await observation.close();
    await lease.deregister(instance, signal);
    // As registrator does, it takes the empty service away.
    await expect.poll(() => bare.exists(`${path}/web`), { timeout: 10_000 }).toBe(false);
    await lease.release(signal);
    await backend.close();
  });

  it("shows TCP where UDP has the same node, says so, and shows the other one when it is gone", async () => {
    const path = chroot();
    const backend = await open(path, "registrator");
    const owner = someOwner();
    const lease = backend.lease(owner, 10);
    await lease.renew(signal);
    const udp = someInstance(owner, { id: `${owner.node}:dns:53:udp`, protocol: "udp", tags: ["udp"] });
    const tcp = someInstance(owner, { id: `${owner.node}:dns:53`, tags: [] });
    const shown = async () => {
      const text = (await bare.read(`${path}/web/10.0.0.5:32768`))?.text;
      return text === undefined ? undefined : (JSON.parse(text) as { Tags: string[] }).Tags;
    };
    expect((await lease.register(udp, signal)).leftOut).toEqual([]);
    expect(await shown()).toEqual(["udp"]);
    expect((await lease.register(tcp, signal)).leftOut).toEqual([]);
    expect(await shown()).toEqual([]);
    const { leftOut } = await lease.register(udp, signal);
    expect(leftOut).toEqual([
      `${udp.id}: ${path}/web/10.0.0.5:32768 can show one instance only, and shows ${tcp.id}`,
    ]);
    expect(await lease.owned(signal)).toHaveLength(2);
    await lease.deregister(tcp, signal);
    expect(await shown()).toEqual(["udp"]);
    await lease.deregister(udp, signal);
    expect(await shown()).toBeUndefined();
    await lease.release(signal);
    await backend.close();
  });

  it("takes over what another registrator left at the address of an own instance, where it may", async () => {
    const path = chroot();
    const backend = await open(path, "registrator");
    const owner = someOwner();
    const instance = someInstance(owner);
    const key = `${path}/web/10.0.0.5:32768`;
    const upstream =
      '{"Name":"web","IP":"10.0.0.5","PublicPort":32768,"PrivatePort":80,"Tags":["old"],"Attrs":{}}';
    await put(key, upstream);
    const strict = backend.lease(owner, 10);
    await strict.renew(signal);
    await expect(strict.register(instance, signal)).rejects.toMatchObject({ code: "NOT_OWNER" });
    const lease = backend.lease({ ...owner, run: "adopting" }, 10, { adopt: (id) => id === instance.id });
    await lease.renew(signal);
    await lease.register(instance, signal);
    expect((await bare.read(key))?.text).toContain('"blue"');
    await lease.release(signal);
    expect(await bare.exists(key)).toBe(false);
    await backend.close();
  });

  it("shows what Curator's clients wrote, and hides nothing behind garbage", async () => {
    const path = chroot();
    const uuid = "6b9b1a2e-7f0c-4c6e-9d3a-0f6f5c1f2a11";
    const metadata = { instance_status: "UP", zone: "b" };
    const spring = {
      name: "web",
      id: uuid,
      address: "10.0.0.5",
      port: 8080,
      sslPort: null,
      payload: {
        "@class": "org.springframework.cloud.zookeeper.discovery.ZookeeperInstance",
        id: "web",
        name: "web",
        metadata,
      },
      registrationTimeUTC: 1795225522152,
      serviceType: "DYNAMIC",
      uriSpec: { parts: [{ value: "scheme", variable: true }] },
    };
    await put(`${path}/web/${uuid}`, JSON.stringify(spring));
    await put(`${path}/web/empty`, "");
    const backend = await open(path, "curator");
    const observation = backend.observe({ services: new Set(["web"]) });
    const seen = await eventually(observation, (s) => instancesOf(s, "web")?.length === 1);
    expect(instancesOf(seen, "web")?.[0]).toMatchObject({
      id: uuid,
      port: 8080,
      meta: metadata,
      state: "ready",
    });
    expect([...seen.invalid.keys()]).toEqual([`${path}/web/empty`]);
    await observation.close();
    await backend.close();
  });

  it("names the layouts that it has, and refuses a path where its own nodes would be seen", async () => {
    await expect(open("/x", "skydns")).rejects.toMatchObject({
      code: "BACKEND_URL",
      message: expect.stringContaining("it has portolan, curator, registrator") as string,
    });
    for (const path of ["", "/portolan"]) {
      await expect(open(path, "registrator")).rejects.toMatchObject({ code: "BACKEND_URL" });
    }
  });
});
