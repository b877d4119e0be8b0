import { Etcd3 } from "etcd3";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import type { Instance } from "../../src/instance.ts";
import { type Etcd, startEtcd } from "../servers/etcd.ts";
import { waitFor } from "../servers/wait.ts";
import { signal } from "./backend-stage.ts";
import { someInstance, someOwner } from "./contract/suite.ts";

let server: Etcd;
let backend: Backend;
let bare: Etcd3;
beforeAll(async () => {
  server = await startEtcd();
  backend = await openBackend(`etcd://127.0.0.1:${server.port}/joined`, { env: {} });
  bare = new Etcd3({ hosts: server.url });
});
afterAll(async () => {
  await backend.close();
  bare.close();
  await server.stop();
});

async function createLease() {
  const owner = someOwner();
  const lease = backend.lease(owner, 10);
  await lease.renew(signal);
  const some = (count: number, more: Partial<Instance> = {}) =>
    Array.from({ length: count }, (_, at) =>
      someInstance(owner, { service: owner.node, id: `id-${at}`, ...more }),
    );
  const written = async () =>
    (await bare.getAll().prefix(`/joined/services/${owner.node}/`).exec()).kvs.map((kv) => ({
      id: kv.key.toString().split("/").at(-1),
      revision: kv.mod_revision,
    }));
  return { owner, lease, some, written };
}

it("writes in one transaction what is asked for at the same time, and no more than 8 records", async () => {
  const { lease, some, written } = await createLease();
  await Promise.all(some(20).map((instance) => lease.register(instance, signal)));
  const created = await written();
  expect(created).toHaveLength(20);
  expect(new Set(created.map(({ revision }) => revision)).size).toBe(3);
  const [first, ...others] = some(20, { port: 4711 });
  const changes = [
    ...others.map((instance) => lease.register(instance, signal)),
    ...(first ? [lease.deregister(first, signal)] : []),
  ];
  await Promise.all(changes);
  const changed = await written();
  expect(changed).toHaveLength(19);
  expect(new Set(changed.map(({ revision }) => revision)).size).toBe(3);
  expect(await lease.owned(signal)).toEqual(expect.arrayContaining(others));
});

it("writes one record twice, though a transaction takes each key once", async () => {
  const { lease, some, written } = await createLease();
  const both = [...some(1, { port: 1 }), ...some(1, { port: 2 })];
  await Promise.all(both.map((instance) => lease.register(instance, signal)));
  expect(await written()).toHaveLength(1);
});

it("lets what the server refuses of one record cost no other", async () => {
  const { lease, some, written } = await createLease();
  const [first, ...others] = some(4);
  if (!first) throw new Error("none");
  const huge = { ...first, meta: { note: "x".repeat(1_600_000) } };
  const outcomes = await Promise.allSettled([huge, ...others].map((one) => lease.register(one, signal)));
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled", "fulfilled"]);
  expect(outcomes[0]).toMatchObject({ reason: { message: expect.stringMatching(/--max-request-bytes/) } });
  expect((await written()).map(({ id }) => id)).toEqual(["id-1", "id-2", "id-3"]);
});

it("overwrites nobody else's record, and writes those beside it", async () => {
  const { owner, lease, some, written } = await createLease();
  const foreign = backend.lease(someOwner(), 10);
  await foreign.renew(signal);
  const [mine, theirs, ...rest] = some(3);
  if (!mine || !theirs) throw new Error("none");
  await foreign.register({ ...theirs, node: "other", owner: "other/ENGINE" }, signal);
  const outcomes = await Promise.allSettled(
    [mine, theirs, ...rest].map((one) => lease.register(one, signal)),
  );
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await written()).toHaveLength(3);
  expect((await lease.owned(signal)).map(({ id, node }) => [id, node])).toEqual([
    ["id-0", owner.node],
    ["id-2", owner.node],
  ]);
});

it("writes nothing of several once another run has taken the node", async () => {
  const { owner, lease, some, written } = await createLease();
  const next = backend.lease({ ...owner, run: "later" }, 10);
  await next.renew(signal);
  const outcomes = await Promise.allSettled(some(3).map((one) => lease.register(one, signal)));
  for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: "LEASE_LOST" } });
  expect(await written()).toEqual([]);
});

it("names what is too long to be read", async () => {
  const value = "x".repeat(1_400_000);
  const keys = Array.from({ length: 49 }, (_, at) => `/joined/services/long/${at}`);
  for (const key of keys) await bare.put(key).value(value);
  const observation = backend.observe({ services: new Set(["long"]) });
  await waitFor("the problem", () => observation.current().problem !== undefined, { within: 20_000 });
  expect(observation.current().problem?.error.message).toContain("longer than 64 MB");
  await observation.close();
  await bare.delete().prefix("/joined/services/long/");
});
