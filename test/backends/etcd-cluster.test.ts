// Three members: a leader that is lost, a member that lost the others.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Backend, instancesOf, type Lease, type Observation } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import { type EtcdCluster, startEtcdCluster } from "../servers/etcd-cluster.ts";
import { waitFor } from "../servers/wait.ts";
import { looksAt, signal } from "./backend-stage.ts";
import { someInstance, someOwner } from "./contract/suite.ts";

describe.each(["installed", "newer"] as const)("etcd: a cluster of three, %s", (release) => {
  let cluster: EtcdCluster;
  let backend: Backend;
  let lease: Lease;
  let observation: Observation;
  const owner = someOwner();
  const instance = someInstance(owner, { service: "kept" });

  beforeAll(async () => {
    cluster = await startEtcdCluster(release);
    backend = await openBackend(`etcd://${cluster.hosts}/cluster`, { env: {} });
    lease = backend.lease(owner, 30);
    await lease.renew(signal);
    await lease.register(instance, signal);
    observation = backend.observe({ services: "all" });
    await seen("kept");
  });
  afterAll(async () => {
    await observation?.close();
    await backend?.close();
    await cluster?.stop();
  });

  const { seen, problem } = looksAt(() => observation);
  const renewed = () => waitFor("a renewal", () => lease.renew(signal), { within: 60_000, every: 100 });

  it("goes on in the same lease when the leader is killed, and shows nothing less", async () => {
    const shown: (number | undefined)[] = [];
    const unsubscribe = observation.subscribe(() => {
      const now = observation.current();
      shown.push(now.known ? instancesOf(now.value, "kept")?.length : undefined);
    });
    const leader = await cluster.leader();
    await leader.kill();
    expect(await renewed()).toMatchObject({ fresh: false });
    const after = { ...instance, service: "after-election" };
    await waitFor("a write", () => lease.register(after, signal).then(() => true), {
      within: 60_000,
      every: 100,
    });
    await seen("after-election");
    expect(shown.filter((size) => size !== 1)).toEqual([]);
    unsubscribe();
    await problem(undefined);
    await lease.deregister(after, signal);
    await leader.start();
  });

  it("leaves a member that lost the others: its watch ends, and nobody believes what it says", async () => {
    const leader = await cluster.leader();
    const [alone, ...others] = [...cluster.members.filter((member) => member !== leader), leader];
    if (!alone) throw new Error("three members");
    const single = await openBackend(`etcd://127.0.0.1:${alone.port}/cluster`, { env: {} });
    const looking = single.observe({ services: "all" });
    const there = looksAt(() => looking);
    await there.seen("kept");
    for (const other of others) await other.kill();
    // It still answers its port, and is not to be taken for an etcd.
    await there.problem("unreachable");
    expect(there.kept()).toEqual(["kept"]);
    const mine = single.lease(someOwner(), 5);
    await expect(mine.renew(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
    await Promise.all(others.map((other) => other.start()));
    await there.problem(undefined);
    await waitFor("a renewal", () => mine.renew(signal).then(() => true), { within: 60_000, every: 100 });
    await mine.release(signal);
    await looking.close();
    await single.close();
    await renewed();
    await seen("kept");
  });
});
