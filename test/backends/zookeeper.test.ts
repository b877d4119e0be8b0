import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ACL, CreateMode, createClient, Id, Permission } from "node-zookeeper-client";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import {
  type Backend,
  instancesOf,
  type Lease,
  type Observation,
  ownerText,
} from "../../src/backends/backend.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { type Connection, connect } from "../../src/backends/zookeeper/connection.ts";
import { openZookeeper } from "../../src/backends/zookeeper/zookeeper.ts";
import { PortolanError } from "../../src/errors.ts";
import { encodeInstance } from "../../src/instance.ts";
import { freePort } from "../servers/ports.ts";
import { startFaultProxy } from "../servers/proxy.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { fourLetterWord, startZooKeeper, type ZooKeeper } from "../servers/zookeeper.ts";
import {
  expectFailover,
  expectNewWorld,
  expectPatienceToEnd,
  expectUnknown,
  looksAt,
  signal,
} from "./backend-stage.ts";
import { contractSuite, eventually, someInstance, someOwner } from "./contract/suite.ts";
import { type Gate, openGate } from "./gate.ts";

const open = (text: string): Promise<Backend> => openZookeeper(parseBackendUrl(text), { env: {} });

/** A connection beside the backend, to see and to do what it does not. */
const bareConnection = (port: number, digest?: string): Promise<Connection> =>
  connect({ host: "127.0.0.1", port, digest, timeout: 10_000, limit: 5_000, keepAlive: true, signal });

const within = { within: 30_000 };
const server = inject("zookeeper");
let bare: Connection;
let worlds = 0;
const chroot = () => {
  worlds += 1;
  return `/zookeeper-test-${process.pid}/${worlds}`;
};

beforeAll(async () => {
  bare = await bareConnection(server.port);
});
afterAll(() => bare.end());

/** Removes a node with everything below it. */
async function removeAll(path: string): Promise<void> {
  for (const name of (await bare.list(path)) ?? []) await removeAll(`${path}/${name}`);
  await bare.remove(path);
}

/** A node of which only somebody else may see what is below it. */
async function createClosed(path: string, below: readonly string[]): Promise<void> {
  await bare.create(path.slice(0, path.lastIndexOf("/")), "", "persistent");
  const client = createClient(server.address);
  await new Promise<void>((resolve) => {
    client.once("connected", resolve);
    client.connect();
  });
  client.addAuthInfo("digest", Buffer.from("somebody:else"));
  const acl = [new ACL(Permission.ALL, new Id("auth", ""))];
  for (const node of [path, ...below.map((name) => `${path}/${name}`)]) {
    await new Promise<void>((resolve, reject) => {
      client.create(node, Buffer.from(""), acl, CreateMode.PERSISTENT, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }
  client.close();
}

contractSuite({
  name: "zookeeper:",
  ttl: 2,
  async start() {
    const root = chroot();
    const gate = await openGate(server.port);
    const url = `zookeeper://127.0.0.1:${gate.port}${root}`;
    return {
      cut: async () => gate.cut(),
      heal: async () => gate.open(),
      wipe: () => removeAll(root),
      openUnreachable: async () => open(`zookeeper://127.0.0.1:${await freePort()}${root}`),
      async openDenied(key) {
        const closed = chroot();
        const [above = ""] = key.split("/");
        await createClosed(closed, ["services", "nodes", "locks", "overrides", "templaters", above, key]);
        return open(`zookeeper://${server.address}${closed}`);
      },
      async plant(instance) {
        const path = `${root}/services/${instance.service}/${instance.id}`;
        await bare.create(path, encodeInstance(instance), "persistent");
      },
      unclaim: async (node) => void (await bare.remove(`${root}/nodes/${node}`)),
      open: () => open(url),
      async openMortal() {
        const backend = await open(url);
        return { backend, die: () => backend.close() };
      },
      close: () => gate.close(),
    };
  },
});

describe("zookeeper:", () => {
  let root: string;
  let backend: Backend;
  beforeAll(async () => {
    root = chroot();
    backend = await open(`zookeeper://${server.address}${root}`);
  });
  afterAll(() => backend.close());

  const holderOfNode = async (node: string) => (await bare.read(`${root}/nodes/${node}`))?.holder ?? "none";
  /** Requests that the server has received in a session. */
  const received = async (session: string) => {
    const consoles = await fourLetterWord(server.port, "cons");
    const row = consoles.split("\n").find((line) => line.includes(`sid=0x${session.replace(/^0+/, "")},`));
    return Number(/recved=(\d+)/.exec(row ?? "")?.[1]);
  };

  it("keeps the documented nodes, all of one session, and creates the chroot", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 2);
    expect(await lease.renew(signal)).toEqual({ ttl: 2, fresh: true });
    const instance = someInstance(owner, { service: "a/b", id: ".x y" });
    await lease.register(instance, signal);
    const node = await bare.read(`${root}/nodes/${owner.node}`);
    expect(JSON.parse(node?.text ?? "")).toEqual({ owner: ownerText(owner), run: owner.run });
    const record = await bare.read(`${root}/services/a%2Fb/%2Ex%20y`);
    expect(record).toMatchObject({ text: encodeInstance(instance), version: 0, holder: node?.holder });
    await lease.release(signal);
    expect(await bare.list(`${root}/nodes`)).toEqual([]);
    expect(await bare.list(`${root}/services/a%2Fb`)).toEqual([]);
  });

  it("answers with the time to live that the server grants", async () => {
    for (const [asked, granted] of [
      [3, 3],
      [600, 10],
    ] as const) {
      const lease = backend.lease(someOwner(), asked);
      expect((await lease.renew(signal)).ttl).toBe(granted);
      await lease.release(signal);
    }
  });

  it("needs one request for a renewal and for a registration, and sends nothing of its own", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 2);
    await lease.renew(signal);
    const instance = someInstance(owner, { service: "counted" });
    await lease.register({ ...instance, id: "first-of-its-service" }, signal);
    const session = await holderOfNode(owner.node);
    const requests = async (work: () => Promise<unknown>) => {
      const before = await received(session);
      await work();
      return (await received(session)) - before;
    };
    expect(await requests(() => lease.renew(signal))).toBe(1);
    expect(await requests(() => lease.register(instance, signal))).toBe(1);
    expect(await requests(() => lease.register({ ...instance, port: 1 }, signal))).toBe(1);
    // The removal of the record, and that of its service in case it was the last one.
    expect(await requests(() => lease.deregister(instance, signal))).toBe(2);
    // Six beats, twice the session's timeout, and idle long enough in between for the package's own ping.
    const beats = requests(async () => {
      for (let n = 0; n < 6; n += 1) {
        await new Promise((resolve) => setTimeout(resolve, 670));
        expect((await lease.renew(signal)).fresh).toBe(false);
      }
    });
    expect(await beats).toBe(6);
    await lease.release(signal);
  });

  it("watches notes in the session of its lease once there is one, and misses none on the way", async () => {
    const proxy = await startFaultProxy({ upstream: server, protocol: "zookeeper" });
    const place = chroot();
    const registrator = await open(`zookeeper://${proxy.host}:${proxy.port}${place}`);
    const notes = registrator.notes?.("overrides");
    if (!notes) throw new Error("no notes");
    const watched = notes.watch();
    const told: string[] = [];
    watched.subscribe(() => told.push(watched.current().problem?.kind ?? "fine"));
    const shows = (names: readonly string[]) =>
      waitFor(
        `the notes ${names}`,
        () => {
          const now = watched.current();
          return now.known && [...now.value.keys()].join() === names.join();
        },
        within,
      );
    const alone = () => waitFor("one connection", () => proxy.counts().open === 1, within);
    await shows([]);
    const lease = registrator.lease(someOwner(), 10);
    await Promise.all([lease.renew(signal), bare.create(`${place}/overrides/a`, "a", "persistent")]);
    const beats = setInterval(() => void lease.renew(signal), 1000);
    await shows(["a"]);
    await alone();
    // What is called beside needs none of its own either.
    await notes.remove("a", signal);
    await shows([]);
    await notes.put("b", "b", signal);
    await shows(["b"]);
    await alone();
    expect(new Set(told)).toEqual(new Set(["fine"]));
    clearInterval(beats);
    await lease.release(signal);
    await bare.create(`${place}/overrides/c`, "c", "persistent");
    await shows(["b", "c"]);
    await watched.close();
    await registrator.close();
    await proxy.stop();
  });

  it("goes on with the places that may be read beside one that may not", async () => {
    const place = chroot();
    await createClosed(`${place}/overrides`, []);
    const mixed = await open(`zookeeper://${server.address}${place}`);
    const [closed, readable] = (["overrides", "templaters"] as const).map((area) =>
      mixed.notes?.(area).watch(),
    );
    await waitFor("the refusal", () => closed?.current().problem?.kind === "denied", within);
    await bare.create(`${place}/templaters/t`, "t", "persistent");
    const hasNote = () => {
      const now = readable?.current();
      return now?.known && now.value.has("t") && !now.problem;
    };
    await waitFor("the note", hasNote, within);
    await bare.remove(`${place}/overrides`);
    await waitFor(
      "the end of the refusal",
      () => closed?.current().known && !closed.current().problem,
      within,
    );
    await Promise.all([closed?.close(), readable?.close()]);
    await mixed.close();
  });

  it("reads records of others once, however often its own are listed", async () => {
    const [owner, stranger] = [someOwner(), someOwner()];
    const [lease, strange] = [backend.lease(owner, 10), backend.lease(stranger, 10)];
    await lease.renew(signal);
    await strange.renew(signal);
    await lease.register(someInstance(owner, { service: "crowd" }), signal);
    for (let n = 0; n < 20; n += 1) {
      await strange.register(someInstance(stranger, { service: "crowd", id: `${n}` }), signal);
    }
    const session = await holderOfNode(owner.node);
    expect(await lease.owned(signal)).toHaveLength(1);
    const before = await received(session);
    expect(await lease.owned(signal)).toHaveLength(1);
    expect((await received(session)) - before).toBeLessThan(20);
    // What another owner gave up and this one took is its own again.
    await strange.release(signal);
    await lease.register(someInstance(owner, { service: "crowd", id: "7" }), signal);
    expect(await lease.owned(signal)).toHaveLength(2);
    await lease.release(signal);
  });

  it("takes its records over from its own session of before, which still lives", async () => {
    const owner = someOwner();
    const dying = await open(`zookeeper://${server.address}${root}`);
    const before = dying.lease(owner, 2);
    await before.renew(signal);
    const instances = Array.from({ length: 150 }, (_, n) =>
      someInstance(owner, { service: `left-${n % 3}`, id: `${owner.node}:${n}` }),
    );
    await Promise.all(instances.map((instance) => before.register(instance, signal)));
    const old = await holderOfNode(owner.node);
    const observation = backend.observe({ services: "all" });
    const count = () => {
      const now = observation.current();
      return now.known
        ? [0, 1, 2].reduce((sum, n) => sum + (instancesOf(now.value, `left-${n}`)?.length ?? 0), 0)
        : 0;
    };
    await waitFor("all records", () => count() === 150, { within: 10_000 });
    const counts = new Set<number>();
    observation.subscribe(() => counts.add(count()));
    await dying.close();

    const next = backend.lease({ ...owner, run: "next" }, 2);
    expect(await next.renew(signal)).toMatchObject({ fresh: true });
    const session = await holderOfNode(owner.node);
    expect(session).not.toBe(old);
    expect(await next.owned(signal)).toHaveLength(150);
    const holders = await Promise.all(
      instances.map(async (i) => (await bare.read(`${root}/services/${i.service}/${i.id}`))?.holder),
    );
    expect(new Set(holders)).toEqual(new Set([session]));
    // Nothing goes when the earlier session does.
    const end = performance.now() + 3_500;
    while (performance.now() < end) {
      await next.renew(signal);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    expect([...counts].filter((n) => n !== 150)).toEqual([]);
    await observation.close();
    await next.release(signal);
  });

  it("lets records live on after a close, until the session times out", async () => {
    const owner = someOwner();
    const dying = await open(`zookeeper://${server.address}${root}`);
    const lease = dying.lease(owner, 2);
    await lease.renew(signal);
    await lease.register(someInstance(owner, { service: "kept" }), signal);
    await dying.close();
    expect(await bare.list(`${root}/services/kept`)).toHaveLength(1);
    await expect(lease.renew(signal)).rejects.toMatchObject({ code: "ABORTED" });
    await waitFor("the expiry", async () => (await bare.list(`${root}/services/kept`))?.length === 0, {
      within: 70_000,
    });
    expect(await bare.exists(`${root}/nodes/${owner.node}`)).toBe(false);
  });

  it("loses its session when it renews too late, whoever reads meanwhile, and takes a new one", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 2);
    await lease.renew(signal);
    const instance = someInstance(owner, { service: "late" });
    await lease.register(instance, signal);
    const observation = backend.observe({ services: new Set(["late"]) });
    await eventually(observation, (s) => instancesOf(s, "late")?.length === 1);
    await eventually(observation, (s) => instancesOf(s, "late")?.length === 0, 60_000);
    // The server closes the connection a moment after it has removed the records.
    const refusal = () =>
      lease.register(instance, signal).catch((error) => error.code !== "BACKEND_UNREACHABLE" && error.code);
    expect(await waitFor("an answer", refusal, { within: 10_000 })).toBe("LEASE_LOST");
    expect(await lease.renew(signal)).toMatchObject({ fresh: true });
    await lease.register(instance, signal);
    await eventually(observation, (s) => instancesOf(s, "late")?.length === 1);
    await observation.close();
    await lease.release(signal);
  });

  it("keeps a run that was replaced from writing, and lets it come back when its successor is gone", async () => {
    const owner = someOwner();
    const [old, next] = [backend.lease(owner, 10), backend.lease({ ...owner, run: "next" }, 10)];
    const [known, late] = ["known", "late"].map((id) => someInstance(owner, { service: "fenced", id }));
    if (!known || !late) throw new Error("two instances");
    await old.renew(signal);
    await old.register(known, signal);
    await next.renew(signal);
    await next.register(late, signal);
    const session = await holderOfNode(owner.node);
    // It has not heard of its successor yet.
    await expect(old.register(late, signal)).rejects.toMatchObject({ code: "SUPERSEDED" });
    for (let n = 0; n < 2; n += 1) {
      await expect(old.renew(signal)).rejects.toMatchObject({ code: "SUPERSEDED" });
    }
    await expect(old.owned(signal)).rejects.toMatchObject({ code: "LEASE_LOST" });
    await expect(old.register(known, signal)).rejects.toMatchObject({ code: "LEASE_LOST" });
    for (const { id } of [known, late]) {
      expect((await bare.read(`${root}/services/fenced/${id}`))?.holder).toBe(session);
    }
    await next.release(signal);
    expect(await old.renew(signal)).toMatchObject({ fresh: true });
    await old.register(known, signal);
    expect(await old.owned(signal)).toHaveLength(1);
    await old.release(signal);
  });

  it("lets a run that was replaced neither overwrite nor remove nor add anything", async () => {
    const owner = someOwner();
    const [old, next] = [backend.lease(owner, 10), backend.lease({ ...owner, run: "next" }, 10)];
    const [kept, removed, added] = ["kept", "removed", "added"].map((id) =>
      someInstance(owner, { service: "blind", id }),
    );
    if (!kept || !removed || !added) throw new Error("three instances");
    await old.renew(signal);
    for (const instance of [kept, removed]) await old.register(instance, signal);
    await next.renew(signal);
    await next.register({ ...kept, port: 7 }, signal);
    const texts = () =>
      Promise.all(
        ["kept", "removed", "added"].map(
          async (id) => (await bare.read(`${root}/services/blind/${id}`))?.text,
        ),
      );
    const before = await texts();
    expect(before.map((text) => text !== undefined)).toEqual([true, true, false]);
    // It has not heard of its successor yet, and remembers all three.
    const refused = { code: expect.stringMatching(/^(SUPERSEDED|LEASE_LOST)$/) as string };
    const results = await Promise.allSettled([
      old.register({ ...kept, port: 9 }, signal),
      old.deregister(removed, signal),
      old.register(added, signal),
    ]);
    for (const result of results) expect(result).toMatchObject({ status: "rejected", reason: refused });
    expect(await texts()).toEqual(before);
    await old.release(signal);
    expect(await texts()).toEqual(before);
    await next.release(signal);
  });

  it("claims a node and replaces a record that nobody keeps alive, unreadable ones included", async () => {
    const owner = someOwner();
    const instance = someInstance(owner, { service: "litter" });
    const path = `${root}/services/litter/${instance.id}`;
    await bare.create(`${root}/nodes/${owner.node}`, "not ours", "persistent");
    const lease = backend.lease(owner, 10);
    await lease.renew(signal);
    await bare.create(path, "{", "persistent");
    await lease.register(instance, signal);
    expect(await lease.owned(signal)).toHaveLength(1);
    expect((await bare.read(path))?.holder).toBe(await holderOfNode(owner.node));
    await lease.release(signal);
  });

  it("notices that its records were deleted by hand, and takes a deleted node anew", async () => {
    const owner = someOwner();
    const instance = someInstance(owner, { service: "by-hand" });
    const lease = backend.lease(owner, 10);
    await lease.renew(signal);
    await lease.register(instance, signal);
    await bare.remove(`${root}/services/by-hand/${instance.id}`);
    expect(await lease.owned(signal)).toEqual([]);
    await lease.register(instance, signal);
    expect(await lease.owned(signal)).toHaveLength(1);
    await bare.remove(`${root}/nodes/${owner.node}`);
    expect(await lease.renew(signal)).toMatchObject({ fresh: true });
    expect(await lease.renew(signal)).toMatchObject({ fresh: false });
    expect(await bare.exists(`${root}/nodes/${owner.node}`)).toBe(true);
    await lease.release(signal);
  });

  it("removes a service's node with its last record, whoever creates a record there meanwhile", async () => {
    const [one, other] = [someOwner(), someOwner()];
    const leases = [backend.lease(one, 10), backend.lease(other, 10)] as const;
    for (const lease of leases) await lease.renew(signal);
    const observation = backend.observe({ services: new Set(["race"]) });
    const churn = async (lease: Lease, owner: typeof one) => {
      const instance = someInstance(owner, { service: "race" });
      for (let n = 0; n < 100; n += 1) {
        await lease.register({ ...instance, port: n + 1 }, signal);
        if (n < 99) await lease.deregister(instance, signal);
      }
    };
    await Promise.all([churn(leases[0], one), churn(leases[1], other)]);
    await eventually(
      observation,
      (s) => instancesOf(s, "race")?.length === 2 && !!instancesOf(s, "race")?.every((i) => i.port === 100),
    );
    await leases[0].deregister(someInstance(one, { service: "race" }), signal);
    await eventually(observation, (s) => instancesOf(s, "race")?.length === 1);
    await leases[1].deregister(someInstance(other, { service: "race" }), signal);
    await eventually(observation, (s) => instancesOf(s, "race")?.length === 0);
    await waitFor("no node", async () => !(await bare.exists(`${root}/services/race`)), { within: 10_000 });
    for (const lease of leases) await lease.release(signal);
    await observation.close();
  });

  it("shows what stands beside garbage, and says what the garbage is", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 10);
    await lease.renew(signal);
    await lease.register(someInstance(owner, { service: "mixed" }), signal);
    const misplaced = encodeInstance(someInstance(owner, { service: "ed", id: "misplaced" }));
    for (const [id, text] of [
      ["empty", ""],
      ["half", '{"id":'],
      ["misplaced", misplaced],
    ] as const) {
      await bare.create(`${root}/services/mixed/${id}`, text, "ephemeral");
    }
    const observation = backend.observe({ services: new Set(["mixed"]) });
    const seen = await eventually(observation, (s) => s.invalid.size === 3);
    expect(instancesOf(seen, "mixed")).toHaveLength(1);
    expect([...seen.invalid.keys()].sort()).toEqual(
      ["empty", "half", "misplaced"].map((id) => `${root}/services/mixed/${id}`),
    );
    await bare.write(
      `${root}/services/mixed/half`,
      encodeInstance(someInstance(owner, { service: "mixed", id: "half" })),
    );
    await eventually(observation, (s) => instancesOf(s, "mixed")?.length === 2 && s.invalid.size === 2);
    for (const id of ["empty", "half", "misplaced"]) await bare.remove(`${root}/services/mixed/${id}`);
    await eventually(observation, (s) => instancesOf(s, "mixed")?.length === 1 && s.invalid.size === 0);
    await observation.close();
    await lease.release(signal);
  });

  it("knows nothing of a service before it was read, and reads it as soon as it is wanted", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 10);
    await lease.renew(signal);
    for (const service of ["asked", "unasked"])
      await lease.register(someInstance(owner, { service }), signal);
    const observation = backend.observe({ services: new Set(["asked", "absent"]) });
    const seen = await eventually(observation, (s) => instancesOf(s, "asked")?.length === 1);
    await eventually(observation, (s) => instancesOf(s, "absent")?.length === 0);
    expect(instancesOf(seen, "unasked")).toBeUndefined();
    observation.want({ services: new Set(["asked", "unasked"]) });
    const now = observation.current();
    expect(now.known && instancesOf(now.value, "unasked")).toBeUndefined();
    await eventually(observation, (s) => instancesOf(s, "unasked")?.length === 1);
    observation.want({ services: "all" });
    await eventually(observation, (s) => s.complete && instancesOf(s, "unasked")?.length === 1);
    // What changes while nobody asks for it is not known any more, and read again when somebody does.
    observation.want({ services: new Set(["asked"]) });
    await lease.register(someInstance(owner, { service: "unasked", port: 7 }), signal);
    await lease.register(someInstance(owner, { service: "unheard-of" }), signal);
    observation.want({ services: "all" });
    await eventually(
      observation,
      (s) => instancesOf(s, "unasked")?.[0]?.port === 7 && instancesOf(s, "unheard-of")?.length === 1,
    );
    await lease.release(signal);
    await eventually(observation, (s) => s.services.size === 0);
    await observation.close();
  });

  it("ends a storm in the world as it is", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 10);
    await lease.renew(signal);
    const observation = backend.observe({ services: "all" });
    const instance = (n: number) =>
      someInstance(owner, { service: `storm-${n % 5}`, id: `${owner.node}:${n}` });
    await Promise.all(
      Array.from({ length: 200 }, async (_, n) => {
        for (let port = 1; port <= 5; port += 1) await lease.register({ ...instance(n), port }, signal);
        if (n % 2 === 0) await lease.deregister(instance(n), signal);
        if (n % 10 === 0) observation.refresh();
      }),
    );
    const expected = (await lease.owned(signal)).map(encodeInstance).sort();
    expect(expected).toHaveLength(100);
    await eventually(observation, (s) => {
      const all = [...s.services].flatMap(([, list]) => list.map(encodeInstance));
      return JSON.stringify(all.sort()) === JSON.stringify(expected);
    });
    await observation.close();
    await lease.release(signal);
  });

  it("asks the other hosts when one does not answer", async () => {
    await expectFailover(
      await open(`zookeeper://127.0.0.1:${await freePort()},${server.address}${root}`),
      10,
    );
  });

  it("refuses what it cannot do, before it connects", async () => {
    for (const rest of [
      "?layout=skydns",
      "?user=root",
      "?ca=/no/such/file",
      "?cert=/etc/hosts",
      "?token-file=/etc/hosts",
      "/a//b",
      "/a/../b",
    ]) {
      await expect(open(`zookeeper://127.0.0.1${rest}`)).rejects.toMatchObject({ code: "BACKEND_URL" });
    }
  });

  it("is unknown, not empty, while no server answers", async () => {
    await expectUnknown(await open(`zookeeper://127.0.0.1:${await freePort()}`));
  });

  it("tells a refused right from an outage, and protects what it writes under a user", async () => {
    const folder = tempDir("zookeeper-auth");
    const file = join(folder, "password");
    await writeFile(file, "secret\n");
    const own = chroot();
    const [member, guest] = [
      await open(`zookeeper://${server.address}${own}?user=member&password-file=${file}`),
      await open(`zookeeper://${server.address}${own}`),
    ];
    const owner = someOwner();
    const lease = member.lease(owner, 10);
    await lease.renew(signal);
    await lease.register(someInstance(owner, { service: "guarded" }), signal);
    // Everybody reads.
    const observation = guest.observe({ services: "all" });
    await eventually(observation, (s) => instancesOf(s, "guarded")?.length === 1);
    await expect(guest.lease(someOwner(), 10).renew(signal)).rejects.toMatchObject({
      code: "BACKEND_DENIED",
      message: expect.not.stringContaining("secret") as string,
    });
    await observation.close();
    await lease.release(signal);
    await member.close();
    await guest.close();
  });
});

describe("zookeeper: in trouble", () => {
  let troubled: ZooKeeper;
  let aside: Connection;
  let gate: Gate;
  let backend: Backend;
  let lease: Lease;
  let observation: Observation;
  const owner = someOwner();
  const instance = someInstance(owner, { service: "kept" });
  const root = "/trouble/portolan";

  beforeAll(async () => {
    troubled = await startZooKeeper();
    gate = await openGate(troubled.port);
    aside = await bareConnection(troubled.port);
    backend = await open(`zookeeper://127.0.0.1:${gate.port}${root}`);
    lease = backend.lease(owner, 10);
    await lease.renew(signal);
    await lease.register(instance, signal);
    observation = backend.observe({ services: "all" });
    await seen("kept");
  });
  afterAll(async () => {
    await observation.close();
    await backend.close();
    await gate.close();
    await troubled.stop();
  });

  const { seen, problem, kept } = looksAt(() => observation);
  /** The next renewal that succeeds; where one fails, the registrator tries again. */
  const renewed = () => waitFor("a renewal", () => lease.renew(signal), { within: 50_000, every: 100 });

  it("continues its session after a reset, and misses nothing that happened meanwhile", async () => {
    gate.cut();
    await problem("unreachable");
    expect(kept()).toEqual(["kept"]);
    await expect(lease.renew(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
    const text = encodeInstance({ ...instance, service: "meanwhile", id: "x" });
    await aside.create(`${root}/services/meanwhile/x`, text, "persistent");
    gate.open();
    await seen("meanwhile");
    expect(kept()).toEqual(["kept", "meanwhile"]);
    expect(await renewed()).toMatchObject({ fresh: false });
    await aside.remove(`${root}/services/meanwhile/x`);
    await aside.remove(`${root}/services/meanwhile`);
    await seen("meanwhile", 0);
    expect(kept()).toEqual(["kept"]);
  });

  it("notices a connection that went silent, and continues its session when it can", async () => {
    gate.hold();
    // A third of the 10 s that the server granted.
    await expectPatienceToEnd(lease, 15_000);
    gate.open();
    expect(await renewed()).toMatchObject({ fresh: false });
    await lease.register({ ...instance, service: "after-silence" }, signal);
    await seen("after-silence");
    await lease.deregister({ ...instance, service: "after-silence" }, signal);
    await seen("after-silence", 0);
  });

  it("keeps what it knows and says so while the network swallows everything, and registers anew", async () => {
    gate.hold();
    await problem("unreachable");
    await waitFor("the expiry", async () => !(await aside.exists(`${root}/nodes/${owner.node}`)), {
      within: 150_000,
    });
    expect(kept()).toEqual(["kept"]);
    await expect(lease.register(instance, signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
    gate.open();
    await seen("kept", 0);
    await expect(lease.register(instance, signal)).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await renewed()).toMatchObject({ fresh: true });
    expect(await lease.owned(signal)).toEqual([]);
    await lease.register(instance, signal);
    await seen("kept");
    expect(await renewed()).toMatchObject({ fresh: false });
  });

  it("yields to a run that took over while it was cut off", async () => {
    const other = someOwner();
    const old = backend.lease(other, 2);
    await old.renew(signal);
    gate.hold();
    await waitFor("the expiry", async () => !(await aside.exists(`${root}/nodes/${other.node}`)), {
      within: 70_000,
    });
    const direct = await open(`zookeeper://${troubled.address}${root}`);
    const next = direct.lease({ ...other, run: "next" }, 10);
    await next.renew(signal);
    gate.open();
    const refusal = () =>
      old.renew(signal).then(
        () => "renewed",
        (error: unknown) =>
          error instanceof PortolanError && error.code !== "BACKEND_UNREACHABLE" && error.code,
      );
    expect(await waitFor("an answer", refusal, { within: 50_000 })).toBe("SUPERSEDED");
    await next.release(signal);
    await direct.close();
    expect(await old.renew(signal)).toMatchObject({ fresh: true });
    await old.release(signal);
  });

  it("keeps what it knows while the server is away, says so, and goes on in the same session", async () => {
    await troubled.stop();
    await problem("unreachable");
    expect(kept()).toEqual(["kept"]);
    await expect(lease.renew(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
    await troubled.start();
    await problem(undefined);
    expect(await renewed()).toMatchObject({ fresh: false });
    await lease.register({ ...instance, service: "after-restart" }, signal);
    await seen("after-restart");
    expect(kept()).toEqual(["after-restart", "kept"]);
  });

  it("takes a wiped server for a new world, and fills it again", async () => {
    await expectNewWorld(observation, () => troubled.wipeAndRestart(), lease, renewed, instance);
  });
});
