// Three servers: a leader that is lost, a server that lost the others.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Backend, instancesOf, type Lease, type Observation } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import { waitFor } from "../servers/wait.ts";
import { startZooKeeperEnsemble, type ZooKeeperEnsemble } from "../servers/zookeeper-ensemble.ts";
import { looksAt, signal } from "./backend-stage.ts";
import { someInstance, someOwner } from "./contract/suite.ts";

describe("zookeeper: an ensemble of three", () => {
  let ensemble: ZooKeeperEnsemble;
  let backend: Backend;
  let lease: Lease;
  let observation: Observation;
  const owner = someOwner();
  const instance = someInstance(owner, { service: "kept" });

  beforeAll(async () => {
    ensemble = await startZooKeeperEnsemble();
    backend = await openBackend(`zookeeper://${ensemble.hosts}/a/new/chroot`, { env: {} });
    lease = backend.lease(owner, 10);
    await lease.renew(signal);
    await lease.register(instance, signal);
    observation = backend.observe({ services: "all" });
    await seen("kept");
  });
  afterAll(async () => {
    await observation?.close();
    await backend?.close();
    await ensemble?.stop();
  });

  const { seen, problem } = looksAt(() => observation);
  const renewed = () => waitFor("a renewal", () => lease.renew(signal), { within: 60_000, every: 100 });

  it("goes on in the same session when the leader is killed, and shows nothing less", async () => {
    const shown: (number | undefined)[] = [];
    const unsubscribe = observation.subscribe(() => {
      const now = observation.current();
      shown.push(now.known ? instancesOf(now.value, "kept")?.length : undefined);
    });
    const leader = await ensemble.leader();
    await leader.kill();
    expect(await renewed()).toMatchObject({ fresh: false });
    const after = { ...instance, service: "after-election" };
    const write = () => lease.register(after, signal).then(() => true);
    await waitFor("a write", write, { within: 60_000, every: 100 });
    await seen("after-election");
    expect(shown.filter((size) => size !== 1)).toEqual([]);
    unsubscribe();
    await problem(undefined);
    await lease.deregister(after, signal);
    await leader.start();
  });

  it("keeps what it knows while no majority is there, says so, and misses nothing of what comes after", async () => {
    const [alone, ...others] = ensemble.members;
    if (!alone) throw new Error("three members");
    const single = await openBackend(`zookeeper://${alone.address}/a/new/chroot`, { env: {} });
    const looking = single.observe({ services: "all" });
    const there = looksAt(() => looking);
    await there.seen("kept");
    for (const other of others) await other.kill();
    await there.problem("unreachable");
    expect(there.kept()).toEqual(["kept"]);
    await expect(single.lease(someOwner(), 5).renew(signal)).rejects.toMatchObject({
      code: "BACKEND_UNREACHABLE",
    });
    await Promise.all(others.map((other) => other.start()));
    await renewed();
    const register = () => lease.register({ ...instance, service: "later" }, signal).then(() => true);
    await waitFor("a write", register, { within: 60_000, every: 100 });
    await there.seen("later");
    await there.problem(undefined);
    await looking.close();
    await single.close();
  });
});
