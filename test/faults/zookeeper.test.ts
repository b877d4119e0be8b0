import { describe, expect } from "vitest";
import { instancesOf } from "../../src/backends/backend.ts";
import { connect } from "../../src/backends/zookeeper/connection.ts";
import { signal } from "../backends/backend-stage.ts";
import { eventually, someInstance, someOwner } from "../backends/contract/suite.ts";
import { startZooKeeper } from "../servers/zookeeper.ts";
import { contentFaults } from "./content.ts";
import { faultTest, within } from "./fault.ts";
import { networkFaults } from "./network.ts";
import { processFaults } from "./process.ts";
import { rightsFaults } from "./rights.ts";
import { zookeeperStore } from "./zookeeper-store.ts";

networkFaults(zookeeperStore);
processFaults(zookeeperStore);
contentFaults(zookeeperStore);
rightsFaults(zookeeperStore);

describe("zookeeper: a service", () => {
  const name =
    "with more names than jute.maxbuffer holds is shown completely, and changes in it are seen (T4)";
  faultTest(zookeeperStore, name, [], async (context) => {
    const server = await startZooKeeper();
    context.onTestFinished(() => server.stop());
    const bare = await connect({
      ...{ host: "127.0.0.1", port: server.port, timeout: 10_000, limit: 5_000, keepAlive: true, signal },
    });
    // 6,000 names of 200 letters are 1.2 MB; the limit is 1 MB.
    await bare.create("/crowd/services/many", "", "persistent");
    const path = (n: number) => `/crowd/services/many/${"x".repeat(195)}${n + 10_000}`;
    await Promise.all(Array.from({ length: 6_000 }, (_, n) => bare.create(path(n), "{", "persistent")));

    const backend = await zookeeperStore.open(server.port, "crowd");
    const owner = someOwner();
    const lease = backend.lease(owner, 10);
    await lease.renew(signal);
    const observation = backend.observe({ services: "all" });
    const first = await eventually(observation, (now) => now.complete, within);
    expect(first.invalid.size).toBe(6_000);
    await lease.register(someInstance(owner, { service: "many", id: "good" }), signal);
    await eventually(observation, (now) => instancesOf(now, "many")?.length === 1, within);
    await backend.close();
    await bare.end();
  });
});
