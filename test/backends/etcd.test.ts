import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Etcd3 } from "etcd3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type Backend,
  instancesOf,
  type Lease,
  type Observation,
  ownerText,
} from "../../src/backends/backend.ts";
import { createEtcdClient } from "../../src/backends/etcd/client.ts";
import { openEtcd } from "../../src/backends/etcd/etcd.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { encodeInstance, encodeSegment } from "../../src/instance.ts";
import { type Etcd, startEtcd } from "../servers/etcd.ts";
import { get } from "../servers/http.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import {
  expectFailover,
  expectNewWorld,
  expectPatienceToEnd,
  expectUnknown,
  looksAt,
  signal,
} from "./backend-stage.ts";
import { contractSuite, eventually, someInstance, someOwner } from "./contract/suite.ts";
import { etcdWorld } from "./etcd-world.ts";
import { type Gate, openGate } from "./gate.ts";

const open = (text: string): Promise<Backend> => openEtcd(parseBackendUrl(text), { env: {} });

let server: Etcd;
let worlds = 0;
/** A prefix of its own, below one that the server's other prefixes do not begin with. */
const prefix = () => {
  worlds += 1;
  return `/t${worlds}/portolan`;
};

beforeAll(async () => {
  server = await startEtcd();
});
afterAll(() => server.stop());

contractSuite({ name: "etcd:", ttl: 2, start: () => etcdWorld(server, prefix()) });

describe("etcd:", () => {
  let root: string;
  let backend: Backend;
  let bare: Etcd3;
  beforeAll(async () => {
    root = prefix();
    backend = await open(`etcd://127.0.0.1:${server.port}${root}`);
    bare = new Etcd3({ hosts: server.url });
  });
  afterAll(async () => {
    await backend.close();
    bare.close();
  });

  const leaseOfNode = async (node: string) => (await bare.get(`${root}/nodes/${node}`).exec()).kvs[0]?.lease;

  it("keeps the documented keys, all under one lease", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 2);
    await lease.renew(signal);
    await lease.register(someInstance(owner, { service: "a/b", id: ".x y" }), signal);
    const { kvs } = await bare.getAll().prefix(root).exec();
    expect(kvs.map((kv) => kv.key.toString())).toEqual([
      `${root}/nodes/${owner.node}`,
      `${root}/services/a%2Fb/%2Ex%20y`,
    ]);
    expect(new Set(kvs.map((kv) => kv.lease)).size).toBe(1);
    expect(JSON.parse(kvs[0]?.value.toString() ?? "")).toEqual({
      owner: ownerText(owner),
      run: owner.run,
      lease: BigInt(kvs[0]?.lease ?? 0).toString(16),
    });
    await lease.release(signal);
    expect(await bare.getAll().prefix(root).keys()).toEqual([]);
  });

  it("answers with the time to live that the server grants", async () => {
    const lease = backend.lease(someOwner(), 1);
    // The election timeout bounds it from below.
    const { ttl } = await lease.renew(signal);
    expect(ttl).toBeGreaterThanOrEqual(1);
    expect((await lease.renew(signal)).ttl).toBe(ttl);
    await lease.release(signal);
  });

  it("takes the lease anew when it was revoked behind its back", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 30);
    const instance = someInstance(owner, { service: "revoked" });
    expect(await lease.renew(signal)).toMatchObject({ fresh: true });
    expect(await lease.renew(signal)).toMatchObject({ fresh: false });
    await lease.register(instance, signal);
    await bare.leaseClient.leaseRevoke({ ID: (await leaseOfNode(owner.node)) ?? "" });
    await expect(lease.register(instance, signal)).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await lease.renew(signal)).toMatchObject({ fresh: true });
    expect(await lease.owned(signal)).toEqual([]);
    await lease.register(instance, signal);
    expect(await lease.owned(signal)).toHaveLength(1);
    expect(await lease.renew(signal)).toMatchObject({ fresh: false });
    await lease.release(signal);
  });

  it("takes the lease anew when everything was deleted but the lease", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 30);
    await lease.renew(signal);
    const before = await leaseOfNode(owner.node);
    await bare.delete().prefix(root);
    await expect(lease.register(someInstance(owner), signal)).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await lease.renew(signal)).toMatchObject({ fresh: true });
    await lease.register(someInstance(owner), signal);
    expect(await leaseOfNode(owner.node)).not.toBe(before);
    await lease.release(signal);
  });

  it("knows its own record however another program has spelt it", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 30);
    await lease.renew(signal);
    const instance = someInstance(owner, { service: "spelt" });
    await lease.register(instance, signal);
    const initial = `\\u${owner.node.charCodeAt(0).toString(16).padStart(4, "0")}`;
    const spelt = encodeInstance(instance).replaceAll(owner.node, initial + owner.node.slice(1));
    expect(spelt).not.toContain(owner.node);
    const at = await leaseOfNode(owner.node);
    await bare
      .put(`${root}/services/spelt/${encodeSegment(instance.id)}`)
      .value(spelt)
      .lease(at ?? "");
    const next = backend.lease({ ...owner, run: "next" }, 30);
    await next.renew(signal);
    for (const each of [next, backend.lease(owner, 0)]) {
      expect(await each.owned(signal)).toEqual([expect.objectContaining({ id: instance.id })]);
    }
    await next.release(signal);
  });

  it("moves more records than one transaction holds, and none of another owner", async () => {
    const [owner, stranger] = [someOwner(), someOwner()];
    const [lease, strange] = [backend.lease(owner, 30), backend.lease(stranger, 30)];
    await lease.renew(signal);
    await strange.renew(signal);
    await strange.register(someInstance(stranger, { service: "moved" }), signal);
    for (let n = 0; n < 230; n += 1) {
      await lease.register(someInstance(owner, { service: "moved", id: `${owner.node}:${n}` }), signal);
    }
    const old = await leaseOfNode(owner.node);
    const next = backend.lease({ ...owner, run: "next" }, 30);
    await next.renew(signal);
    const under = async (id: string | undefined) =>
      (await bare.getAll().prefix(`${root}/services/moved/`).exec()).kvs.filter((kv) => kv.lease === id)
        .length;
    const now = await leaseOfNode(owner.node);
    expect(now).not.toBe(old);
    expect(await under(now)).toBe(230);
    expect(await under(await leaseOfNode(stranger.node))).toBe(1);
    expect(await bare.leaseClient.leaseTimeToLive({ ID: old ?? "" })).toMatchObject({ TTL: "-1" });
    // The earlier run can neither write nor come back, and may once its successor is gone.
    await expect(lease.register(someInstance(owner), signal)).rejects.toMatchObject({ code: "LEASE_LOST" });
    await expect(lease.renew(signal)).rejects.toMatchObject({ code: "SUPERSEDED" });
    await expect(lease.renew(signal)).rejects.toMatchObject({ code: "SUPERSEDED" });
    await next.release(signal);
    expect(await lease.renew(signal)).toMatchObject({ fresh: true });
    await lease.release(signal);
    await strange.release(signal);
  });

  it("claims a node and replaces a record that nobody keeps alive, unreadable ones included", async () => {
    const owner = someOwner();
    const instance = someInstance(owner, { service: "litter" });
    await bare.put(`${root}/nodes/${owner.node}`).value("not ours");
    const lease = backend.lease(owner, 30);
    await lease.renew(signal);
    await bare.put(`${root}/services/litter/${instance.id}`).value("{");
    await lease.register(instance, signal);
    expect(await lease.owned(signal)).toHaveLength(1);
    await bare.put(`${root}/services/litter/${instance.id}`).value("{");
    await lease.deregister(instance, signal);
    expect(await bare.getAll().prefix(`${root}/services/litter/`).keys()).toEqual([]);
    await lease.release(signal);
  });

  it("needs one call for a renewal, a registration and a removal", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 30);
    await lease.renew(signal);
    const instance = someInstance(owner, { service: "counted" });
    const calls = async (work: () => Promise<unknown>) => {
      const before = await startedCalls(server);
      await work();
      return (await startedCalls(server)) - before;
    };
    expect(await calls(() => lease.renew(signal))).toBe(1);
    expect(await calls(() => lease.register(instance, signal))).toBe(1);
    expect(await calls(() => lease.register({ ...instance, port: 1 }, signal))).toBe(1);
    expect(await calls(() => lease.deregister(instance, signal))).toBe(1);
    await lease.release(signal);
  });

  it("shares one range and one watch among all observations of a backend", async () => {
    const before = await startedCalls(server);
    const observations = ["x", "y", "z"].map((name) => backend.observe({ services: new Set([name]) }));
    for (const observation of observations) await eventually(observation, () => true);
    expect((await startedCalls(server)) - before).toBeLessThanOrEqual(2);
    for (const observation of observations) await observation.close();
  });

  it("asks the other hosts when one does not answer", async () => {
    const dead = await freePort();
    await expectFailover(await open(`etcd://127.0.0.1:${dead},127.0.0.1:${server.port}${root}`), 30);
  });

  it("refuses a layout that it cannot write, and half of a credential", async () => {
    for (const query of ["layout=curator", "user=root", "cert=/etc/hostname", "ca=/no/such/file"]) {
      await expect(open(`etcd://127.0.0.1?${query}`)).rejects.toMatchObject({ code: "BACKEND_URL" });
    }
  });

  it("is unknown, not empty, while no server answers", async () => {
    await expectUnknown(await open(`etcd://127.0.0.1:${await freePort()}`));
  });
});

describe("etcd: in trouble", () => {
  let troubled: Etcd;
  let bare: Etcd3;
  let gate: Gate;
  let backend: Backend;
  let lease: Lease;
  let observation: Observation;
  const owner = someOwner();
  const instance = someInstance(owner, { service: "kept" });
  const own = "/trouble/services/";

  beforeAll(async () => {
    troubled = await startEtcd();
    bare = new Etcd3({ hosts: troubled.url });
    gate = await openGate(troubled.port);
    backend = await open(`etcd://127.0.0.1:${gate.port}/trouble`);
    lease = backend.lease(owner, 60);
    await lease.renew(signal);
    await lease.register(instance, signal);
    observation = backend.observe({ services: "all" });
    await seen("kept");
  });
  afterAll(async () => {
    await observation.close();
    await backend.close();
    bare.close();
    await gate.close();
    await troubled.stop();
  });

  const { seen, problem, kept } = looksAt(() => observation);

  it("keeps what it knows while the server is away, says so, and goes on afterwards", async () => {
    await troubled.stop();
    await problem("unreachable");
    expect(kept()).toEqual(["kept"]);
    await expect(lease.renew(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
    await troubled.start();
    await problem(undefined);
    expect(await lease.renew(signal)).toMatchObject({ fresh: false });
    await lease.register({ ...instance, service: "after-restart" }, signal);
    await seen("after-restart");
    expect(kept()).toEqual(["after-restart", "kept"]);
    await lease.deregister({ ...instance, service: "after-restart" }, signal);
    await seen("after-restart", 0);
  });

  it("misses nothing that happened, and was compacted away, while it was cut off", async () => {
    gate.cut();
    await problem("unreachable");
    await bare.put(`${own}compacted/x`).value(encodeInstance({ ...instance, service: "compacted", id: "x" }));
    await bare.delete().key(`${own}kept/${instance.id}`);
    const { header } = await bare.getAll().prefix(own).exec();
    await bare.kv.compact({ revision: header.revision, physical: true });
    gate.open();
    await seen("compacted");
    expect(kept()).toEqual(["compacted"]);
    await lease.register(instance, signal);
    await bare.delete().key(`${own}compacted/x`);
    await seen("compacted", 0);
    await seen("kept");
  });

  it("ends a watch that the server cancels because of compaction, with the reason", async () => {
    const client = createEtcdClient("etcd:", { hosts: [troubled.url] });
    await expect(client.watch(own, 1n, () => {}, signal)).rejects.toMatchObject({
      code: "BACKEND_UNREACHABLE",
      message: expect.stringContaining("compaction") as string,
    });
    client.close();
  });

  it("gives up on a server that takes calls and never answers, and on a cancelled call at once", async () => {
    gate.hold();
    observation.refresh();
    await expectPatienceToEnd(lease, 15_000);
    await problem("unreachable");
    expect(kept()).toEqual(["kept"]);
    gate.open();
    await problem(undefined);
    await lease.renew(signal);
    await lease.register({ ...instance, service: "after-silence" }, signal);
    await seen("after-silence");
  });

  it("is tried three times a second at most while it is away, whoever wants something of it", async () => {
    let tries = 0;
    const closed = createServer((socket) => {
      tries += 1;
      socket.on("error", () => {}).resetAndDestroy();
    });
    await once(closed.listen(0, "127.0.0.1"), "listening");
    const away = await open(`etcd://127.0.0.1:${(closed.address() as AddressInfo).port}/away`);
    const begun = performance.now();
    away.observe({ services: "all" });
    away.notes?.("overrides").watch();
    const beating = away.lease(someOwner(), 2);
    const over = AbortSignal.timeout(3_000);
    while (!over.aborted) {
      await beating.renew(over).catch(() => {});
      await sleep(100);
    }
    expect(tries).toBeLessThanOrEqual(1 + ((performance.now() - begun) / 1000) * 3);
    expect(tries).toBeGreaterThan(1);
    await away.close();
    closed.close();
  });

  it("is asked as soon as it is back, and not with the next try", async () => {
    const way = await openGate(troubled.port);
    way.cut();
    const waiting = await open(`etcd://127.0.0.1:${way.port}/waiting`);
    const late = waiting.lease(someOwner(), 30);
    await expect(late.renew(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
    const renewal = late.renew(signal);
    way.open();
    expect(await renewal).toMatchObject({ fresh: true });
    await late.release(signal);
    await waiting.close();
    await way.close();
  });

  it("takes a wiped server for a new world, and fills it again", async () => {
    await expectNewWorld(
      observation,
      () => troubled.wipeAndRestart(),
      lease,
      () => lease.renew(signal),
      instance,
    );
  });

  it("tells refused credentials from an outage", async () => {
    const folder = tempDir("etcd-auth");
    const [good, wrong] = [join(folder, "good"), join(folder, "wrong")];
    await writeFile(good, "secret\n");
    await writeFile(wrong, "guess\n");
    const role = await bare.role("trouble").create();
    await role.grant({ permission: "Readwrite", range: bare.range({ prefix: "/trouble/" }) });
    const member = await bare.user("member").create("secret");
    await member.addRole(role);
    await bare.user("root").create("root");
    await bare.user("root").addRole(await bare.role("root").create());
    await bare.auth.authEnable();

    // What is connected without a user is refused from now on.
    observation.refresh();
    await problem("denied");
    expect(kept()).toEqual(["kept"]);
    await expect(lease.owned(signal)).rejects.toMatchObject({ code: "BACKEND_DENIED" });

    const at = (path: string, file: string) =>
      open(`etcd://127.0.0.1:${troubled.port}${path}?user=member&password-file=${file}`);
    const [member_, guessing, elsewhere] = [
      await at("/trouble", good),
      await at("/trouble", wrong),
      await at("/elsewhere", good),
    ];
    const allowed = member_.observe({ services: "all" });
    await eventually(allowed, (s) => instancesOf(s, "kept")?.length === 1);
    for (const refused of [guessing, elsewhere]) {
      await expect(refused.lease(someOwner(), 5).renew(signal)).rejects.toMatchObject({
        code: "BACKEND_DENIED",
        message: expect.not.stringContaining("guess") as string,
      });
      const blind = refused.observe({ services: "all" });
      await waitFor("denied", () => blind.current().problem?.kind === "denied", { within: 20_000 });
      expect(blind.current().known).toBe(false);
      await refused.close();
    }
    const next = member_.lease({ ...owner, run: "with-password" }, 60);
    await next.renew(signal);
    expect(await next.owned(signal)).toHaveLength(1);
    // The server forgets its tokens; nobody has to do anything about it.
    await troubled.restart();
    await waitFor("a renewal", () => next.renew(signal), { within: 20_000, every: 200 });
    await next.register({ ...instance, service: "new-token" }, signal);
    await eventually(allowed, (s) => instancesOf(s, "new-token")?.length === 1, 20_000);
    await member_.close();
  });
});

/** How many calls the server has been asked for so far, by anybody. */
async function startedCalls(of: Etcd): Promise<number> {
  const metrics = await get(`${of.url}/metrics`);
  return metrics
    .split("\n")
    .filter((line) => line.startsWith("grpc_server_started_total{"))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}
