// Apache Curator itself, as Debian packages it, reads what we write in its layout, and we read what it writes.
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type Backend, instancesOf, type Lease, type Owner } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import type { Instance } from "../../src/instance.ts";
import { type Curator, startCurator } from "../servers/curator.ts";
import { waitFor } from "../servers/wait.ts";
import { signal } from "./backend-stage.ts";
import { eventually, someInstance, someOwner } from "./contract/suite.ts";

const { address } = inject("zookeeper");
const base = `/curator-${process.pid}`;

describe("zookeeper: Curator's service discovery", () => {
  let curator: Curator;
  let backend: Backend;
  let owner: Owner;
  let lease: Lease;
  let beats: NodeJS.Timeout;
  beforeAll(async () => {
    backend = await openBackend(`zookeeper://${address}${base}?layout=curator`, { env: {} });
    owner = someOwner();
    lease = backend.lease(owner, 10);
    await lease.renew(signal);
    beats = setInterval(() => void lease.renew(signal).catch(() => {}), 2_000);
    curator = await startCurator(address, base);
  });
  afterAll(async () => {
    clearInterval(beats);
    await curator?.stop();
    await backend?.close();
  });

  const written = (over: Partial<Instance> = {}) => someInstance(owner, over);
  const idsOf = async (service: string) =>
    ((await curator.ask("query", "java.lang.Object", service)) as { id: string }[])
      .map(({ id }) => id)
      .sort();

  it("queries what we wrote, whatever class of payload its reader takes", async () => {
    const [one, two] = [
      written({ service: "queried", id: `${owner.node}:queried-1:80` }),
      written({ service: "queried", id: `${owner.node}:queried-2:53:udp`, address: "fd00::5", port: 53 }),
    ];
    await lease.register(one, signal);
    await lease.register(two, signal);
    expect(await curator.ask("names")).toContain("queried");
    const expected = [one, two].map(({ id, service, address: at, port }) => ({
      ...{ id, name: service, address: at, port, sslPort: null, payload: null },
      ...{ registrationTimeUTC: 0, serviceType: "DYNAMIC", uriSpec: null, enabled: true },
    }));
    for (const payload of ["Object", "String", "Void", "Integer"]) {
      const found = (await curator.ask("query", `java.lang.${payload}`, "queried")) as { id: string }[];
      expect(
        found.sort((a, b) => (a.id < b.id ? -1 : 1)),
        payload,
      ).toEqual(expected);
    }
  });

  it("watches what we write: a drain, an end and a new one reach its provider", async () => {
    const instance = written({ service: "watched" });
    const picks = (id: string) =>
      waitFor(`Curator to pick ${id}`, async () => (await curator.ask("pick", "watched")) === id, {
        within: 10_000,
      });
    await lease.register(instance, signal);
    await picks(instance.id);
    await lease.register({ ...instance, state: "draining" }, signal);
    await picks("none");
    await lease.register(instance, signal);
    await picks(instance.id);
    await lease.deregister(instance, signal);
    await picks("none");
  });

  it("writes what we read, as long as it stays registered", async () => {
    const observation = backend.observe({ services: new Set(["theirs"]) });
    await eventually(observation, (now) => instancesOf(now, "theirs")?.length === 0);
    await curator.ask("register", "theirs", "i-1", "10.0.0.9", "8080");
    await curator.ask("register", "theirs", "i-2", "10.0.0.9", "8081");
    const seen = await eventually(observation, (now) => instancesOf(now, "theirs")?.length === 2);
    const theirs = { service: "theirs", address: "10.0.0.9", node: "10.0.0.9", state: "ready", weight: 1 };
    expect(instancesOf(seen, "theirs")).toEqual([
      { ...theirs, id: "i-1", port: 8080, protocol: "tcp", tags: [], meta: {} },
      { ...theirs, id: "i-2", port: 8081, protocol: "tcp", tags: [], meta: {} },
    ]);
    await curator.ask("unregister", "theirs", "i-1");
    await eventually(observation, (now) => instancesOf(now, "theirs")?.length === 1);
    await observation.close();
  });

  it("shares a service with us, and neither takes the other's instance away", async () => {
    const instance = written({ service: "shared" });
    await lease.register(instance, signal);
    await curator.ask("register", "shared", "theirs", "10.0.0.9", "8080");
    expect(await idsOf("shared")).toEqual([instance.id, "theirs"].sort());
    const observation = backend.observe({ services: new Set(["shared"]) });
    await eventually(observation, (now) => instancesOf(now, "shared")?.length === 2);
    await expect(lease.deregister({ service: "shared", id: "theirs" }, signal)).rejects.toMatchObject({
      code: "NOT_OWNER",
    });
    await lease.deregister(instance, signal);
    expect(await idsOf("shared")).toEqual(["theirs"]);
    await lease.register(instance, signal);
    await curator.ask("unregister", "shared", "theirs");
    expect(await idsOf("shared")).toEqual([instance.id]);
    await observation.close();
  });

  it("finds nothing any more when our lease is released", async () => {
    await lease.register(written({ service: "released" }), signal);
    expect(await idsOf("released")).toHaveLength(1);
    clearInterval(beats);
    await lease.release(signal);
    expect(await idsOf("released")).toEqual([]);
  });
});
