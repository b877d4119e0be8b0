// The lease on a real agent, where somebody else writes between our own writes.
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type Backend, instancesOf, type LeaseOptions, type Owner } from "../../src/backends/backend.ts";
import { consulAddress } from "../../src/backends/consul/address.ts";
import { createConsulApi } from "../../src/backends/consul/api.ts";
import { openConsul } from "../../src/backends/consul/consul.ts";
import { createConsulLease } from "../../src/backends/consul/lease.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { PortolanError } from "../../src/errors.ts";
import { type Instance, sameInstance } from "../../src/instance.ts";
import type { Log } from "../../src/log.ts";
import { reconcile } from "../../src/registrator/reconcile.ts";
import { type FaultProxy, startFaultProxy } from "../servers/proxy.ts";
import { waitFor } from "../servers/wait.ts";
import { signal } from "./backend-stage.ts";
import { eventually, someInstance, someOwner } from "./contract/suite.ts";

const server = inject("consul");
const url = (port: number) => parseBackendUrl(`consul://127.0.0.1:${port}`);
const within = { within: 10_000 };
let backend: Backend;
beforeAll(async () => {
  backend = await openConsul(url(server.port), { env: {} });
});
afterAll(() => backend?.close());

/** Asks Consul itself. */
async function ask<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(`${server.url}/v1${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return (text === "" ? undefined : JSON.parse(text)) as T;
}
const maintain = (id: string, on: boolean, reason = "") =>
  ask("PUT", `/agent/service/maintenance/${encodeURIComponent(id)}?enable=${on}&reason=${reason}`);
const passing = async (service: string) =>
  (await ask<unknown[]>("GET", `/health/service/${encodeURIComponent(service)}?passing`)).length;
interface Check {
  readonly CheckID: string;
  readonly ServiceID: string;
  readonly Notes: string;
}
const checksOf = async (id: string) =>
  Object.values(await ask<Record<string, Check>>("GET", "/agent/checks")).filter(
    ({ ServiceID }) => ServiceID === id,
  );
const joined = async (owner: Owner, options: LeaseOptions = {}, from = backend, ttl = 60) => {
  const lease = from.lease(owner, ttl, options);
  await lease.renew(signal);
  return lease;
};

describe("a record of Consul", () => {
  it("is lifted out of a maintenance of ours that a late write has left", async () => {
    const owner = someOwner();
    const lease = await joined(owner);
    const instance = someInstance(owner, { service: "late-write" });
    await lease.register(instance, signal);
    // What hung on its way, past our last word on it.
    const late = backend.lease(owner, 60);
    await late.renew(signal);
    await late.register({ ...instance, state: "draining" }, signal);
    expect(await lease.owned(signal)).toMatchObject([{ state: "draining" }]);
    await lease.register(instance, signal);
    await waitFor("it to be served", async () => (await passing("late-write")) === 1, within);
    await lease.release(signal);
  });

  it("that is not ready equals no wish once somebody lifted its maintenance", async () => {
    const owner = someOwner();
    const lease = await joined(owner);
    const drained = someInstance(owner, { service: "lifted", state: "draining" });
    await lease.register(drained, signal);
    const equal = async (instance: Instance) =>
      sameInstance((await lease.owned(signal))[0] ?? someInstance(owner), instance);
    expect(await equal(drained)).toBe(true);
    await maintain(drained.id, false);
    await waitFor("it to be served", async () => (await passing("lifted")) === 1, within);
    const [held] = await lease.owned(signal);
    expect(held?.state, "what a restarted registrator recalls").toBe("draining");
    expect(await equal(drained)).toBe(false);
    expect(await equal({ ...drained, state: "ready" })).toBe(false);
    await lease.register(drained, signal);
    await waitFor("it to be out of service", async () => (await passing("lifted")) === 0, within);
    expect(await equal(drained)).toBe(true);
    await lease.release(signal);
  });

  it("that is not ready stays as it is under an operator's maintenance, and gets ours when that ends", async () => {
    const owner = someOwner();
    const lease = await joined(owner);
    const instance = someInstance(owner, { service: "under-both" });
    const drained: Instance = { ...instance, state: "draining" };
    await lease.register(instance, signal);
    await maintain(instance.id, true, "fire");
    await lease.register(drained, signal);
    expect(sameInstance((await lease.owned(signal))[0] ?? instance, drained)).toBe(true);
    await maintain(instance.id, false);
    expect(sameInstance((await lease.owned(signal))[0] ?? instance, drained)).toBe(false);
    await lease.register(drained, signal);
    expect((await checksOf(instance.id)).map(({ Notes }) => Notes)).toContain("portolan: draining");
    await lease.release(signal);
  });

  it.each([0, 60])("is not taken out of service by a run that was superseded (ttl %i)", async (ttl) => {
    const owner = someOwner();
    const old = await joined(owner, {}, backend, ttl);
    const instance = someInstance(owner, { service: `superseded-${ttl}` });
    await old.register(instance, signal);
    const next = await joined({ ...owner, run: "next" });
    await next.register(instance, signal);
    const writing = old.register({ ...instance, state: "draining" }, signal);
    await expect(writing).rejects.toMatchObject({ code: ttl > 0 ? "LEASE_LOST" : "SUPERSEDED" });
    expect(await next.owned(signal)).toMatchObject([{ state: "ready" }]);
    await next.release(signal);
  });

  it("keeps the whole container, however long the name of its image", async () => {
    const owner = someOwner();
    const lease = await joined(owner);
    const image = `registry.test/${"i".repeat(300)}:${"t".repeat(100)}@sha256:${"d".repeat(64)}`;
    const container = { id: "c".repeat(64), name: "n".repeat(60), image };
    const instance = someInstance(owner, { service: "long-image", container });
    expect(await lease.register(instance, signal)).toEqual({ leftOut: [] });
    expect(sameInstance((await lease.owned(signal))[0] ?? someInstance(owner), instance)).toBe(true);
    const observation = backend.observe({ services: new Set(["long-image"]) });
    const seen = await eventually(observation, (now) => instancesOf(now, "long-image")?.length === 1);
    expect(instancesOf(seen, "long-image")?.[0]?.container).toEqual(container);
    await observation.close();
    const endless = { id: "c".repeat(64), name: "n".repeat(600), image: "i".repeat(600) };
    const { leftOut } = await lease.register({ ...instance, container: endless }, signal);
    expect(leftOut.map((text) => text.split(":")[0])).toEqual(["container.name", "container.image"]);
    const [held] = await lease.owned(signal);
    expect(held?.container?.id).toBe(container.id);
    expect(endless.name.startsWith(held?.container?.name ?? "?")).toBe(true);
    expect(held?.container?.image).toHaveLength(512);
    await lease.release(signal);
  });
});

describe("the name of a heartbeat", () => {
  it("is no name for a service", async () => {
    const owner = someOwner();
    const lease = await joined(owner);
    const instance = someInstance(owner, { service: "portolan:victim", id: "plain" });
    await expect(lease.register(instance, signal)).rejects.toMatchObject({ code: "RECORD" });
    await lease.release(signal);
  });

  it("claims nothing under another id, or without a run", async () => {
    const owner = someOwner();
    const name = `portolan:${owner.node}`;
    const put = (ID: string, more: object) =>
      ask("PUT", "/catalog/register", {
        Node: `far-${process.pid}`,
        Address: "10.0.0.1",
        Service: { ID, Service: name, Port: 80, ...more },
      });
    await put("web-1", { Meta: { "portolan-owner": "other/X", "portolan-run": "r" } });
    await put(name, { Meta: { "portolan-owner": "other/X" } });
    const lease = await joined(owner);
    await lease.release(signal);
    await ask("PUT", "/catalog/deregister", { Node: `far-${process.pid}` });
  });
});

describe("an adopted record", () => {
  const upstream = (id: string) =>
    ask("PUT", "/agent/service/register", {
      ID: id,
      Name: "adopts",
      Address: "10.0.0.5",
      Port: 80,
      Check: { CheckID: `upstream:${id}`, TTL: "1h", Status: "critical" },
    });
  /** A lease whose process ends before it can remove a check by itself. */
  const dying = (owner: Owner) => {
    const api = createConsulApi(consulAddress(url(server.port), { env: {} }), { wait: 1000, patience: 5000 });
    const fails = () => Promise.reject(new PortolanError("BACKEND_UNREACHABLE", "the process ended"));
    return createConsulLease({ ...api, deregisterCheck: fails }, owner, 60, { adopt: () => true });
  };

  it.each(["ready", "draining"] as const)(
    "that is %s loses its foreign checks in the same write",
    async (state) => {
      const owner = someOwner();
      const instance = someInstance(owner, { service: "adopts", state });
      await upstream(instance.id);
      const lease = dying(owner);
      await lease.renew(signal);
      await lease.register(instance, signal);
      const left = (await checksOf(instance.id)).map(({ CheckID }) => CheckID);
      expect(left).not.toContain(`upstream:${instance.id}`);
      expect(left).toContain(`portolan-alias:${instance.id}`);
      await lease.release(signal);
    },
  );

  it("under an operator's maintenance stays adoptable until its foreign checks are gone", async () => {
    const owner = someOwner();
    const instance = someInstance(owner, { service: "adopts" });
    await upstream(instance.id);
    await maintain(instance.id, true, "fire");
    const first = dying(owner);
    await first.renew(signal);
    await expect(first.register(instance, signal)).rejects.toThrow("the process ended");
    const lease = await joined({ ...owner, run: "next" }, { adopt: (id) => id === instance.id });
    await lease.register(instance, signal);
    expect((await checksOf(instance.id)).map(({ CheckID }) => CheckID).sort()).toEqual(
      [`_service_maintenance:${instance.id}`, `portolan-alias:${instance.id}`].sort(),
    );
    await lease.release(signal);
  });
});

describe("requests of the lease", () => {
  let proxy: FaultProxy;
  let behind: Backend;
  beforeAll(async () => {
    proxy = await startFaultProxy({ upstream: { port: server.port }, protocol: "http" });
    behind = await openConsul(url(proxy.port), { env: {} });
  });
  afterAll(async () => {
    await behind?.close();
    await proxy?.stop();
  });

  it("are one for a record that Consul can hold in part only, however often it is read", async () => {
    const owner = someOwner();
    const container = { id: "c".repeat(64), name: "n".repeat(600), image: "i".repeat(600) };
    const meta = { "a.b": "left out" };
    const instance = someInstance(owner, { service: "in-part", container, meta });
    const log = new Proxy({} as Log, { get: () => () => {} });
    const wish = { owner, instances: [instance], fate: () => "live" as const };
    proxy.resetCounts();
    const reconciler = reconcile({
      ...{ backend: behind, wish: () => wish, recall: () => {}, lease: {} },
      ...{ ttlSeconds: 60, resync: 200, log, changed: () => {} },
    });
    reconciler.nudge();
    const asked = (path: string) =>
      proxy.counts().requests.filter((request) => request.path.startsWith(path));
    await waitFor("some reads", () => asked("/v1/agent/services").length > 8, { within: 30_000 });
    // The other one is the heartbeat's.
    expect(asked("/v1/agent/service/register")).toHaveLength(2);
    await reconciler.stop("deregister");
  });

  it("are one for each new record behind a read of all, and two a while later", async () => {
    const owner = someOwner();
    const lease = await joined(owner, {}, behind);
    await lease.owned(signal);
    proxy.resetCounts();
    const many = Array.from({ length: 20 }, (_, at) =>
      someInstance(owner, { service: "new-ones", id: `${owner.node}:new-${at}` }),
    );
    for (const instance of many) await lease.register(instance, signal);
    expect(new Set(proxy.counts().requests.map(({ method }) => method))).toEqual(new Set(["PUT"]));
    expect(proxy.counts().requests).toHaveLength(20);
    // Somebody else's that came since is not overwritten for ever.
    await ask("PUT", "/agent/service/register", { ID: `${owner.node}:theirs`, Name: "theirs", Port: 80 });
    const theirs = someInstance(owner, { service: "theirs", id: `${owner.node}:theirs` });
    await new Promise((resolve) => setTimeout(resolve, 5_100));
    await expect(lease.register(theirs, signal)).rejects.toMatchObject({ code: "NOT_OWNER" });
    await ask("PUT", `/agent/service/deregister/${encodeURIComponent(theirs.id)}`);
    await lease.release(signal);
  });
});
