import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import {
  type Backend,
  instancesOf,
  type LeaseOptions,
  type Owner,
  ownerText,
} from "../../src/backends/backend.ts";
import { consulAddress } from "../../src/backends/consul/address.ts";
import { createConsulApi } from "../../src/backends/consul/api.ts";
import type { OrderedCheck } from "../../src/backends/consul/checks.ts";
import { openConsul } from "../../src/backends/consul/consul.ts";
import { createLeaseChecks } from "../../src/backends/consul/lease-checks.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { type ErrorCode, PortolanError } from "../../src/errors.ts";
import { encodeInstance, type Instance, sameInstance } from "../../src/instance.ts";
import { createAuthority } from "../servers/certificates.ts";
import { type Consul, startConsul } from "../servers/consul.ts";
import { startFaultProxy } from "../servers/proxy.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { grpcTarget, httpTarget, type Identity, type Target, tcpTarget } from "./check-targets.ts";
import { eventually, someInstance, someOwner } from "./contract/suite.ts";

const signal = new AbortController().signal;
const within = { within: 30_000 };

/** One agent runs scripts, the other does not. */
let consul: Consul;
let strict: Consul;
let backend: Backend;
let strictBackend: Backend;
let identity: Identity;
const open = (port: number) => openConsul(parseBackendUrl(`consul://127.0.0.1:${port}`), { env: {} });
beforeAll(async () => {
  const authority = createAuthority("checks").then((made) => made.sign("target", ["127.0.0.1"]));
  [consul, strict] = await Promise.all([
    startConsul({ hcl: "enable_script_checks = true" }),
    startConsul({ node: "strict" }),
  ]);
  [backend, strictBackend] = await Promise.all([open(consul.port), open(strict.port)]);
  const { key, cert } = await authority;
  identity = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
});
afterAll(async () => {
  await backend?.close();
  await strictBackend?.close();
  await consul?.stop();
  await strict?.stop();
});
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function ask<T = unknown>(method: string, path: string, body?: unknown, of = consul): Promise<T> {
  const answer = await fetch(`${of.url}/v1${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

interface AgentCheck {
  readonly CheckID: string;
  readonly ServiceID: string;
  readonly Status: string;
  readonly Notes: string;
}
/** The agent's checks of a service: status by id. */
const checksOf = async (id: string, of = consul): Promise<Record<string, string>> => {
  const all = Object.values(await ask<Record<string, AgentCheck>>("GET", "/agent/checks", undefined, of));
  const own = all.filter(({ ServiceID }) => ServiceID === id);
  return Object.fromEntries(own.map(({ CheckID, Status }) => [CheckID, Status]));
};
const alias = (id: string) => `portolan-alias:${id}`;
const check = (id: string, key: string) => `portolan-check:${id}:${key}`;

const joined = async (options: LeaseOptions = {}, ttl = 30, from = backend, owner: Owner = someOwner()) => {
  const lease = from.lease(owner, ttl, options);
  await lease.renew(signal);
  closers.push(() => lease.release(signal).catch(() => undefined));
  return { owner, lease };
};
const target = async (made: Promise<Target>) => {
  const it = await made;
  closers.push(it.close);
  return it;
};
const at = (owner: Owner, service: string, port: number, checks: Record<string, string>): Instance =>
  someInstance(owner, { service, address: "127.0.0.1", port, checks });
/** Waits until readers take the only instance of the service for such. */
const seen = async (service: string, state: string, from = backend) => {
  const observation = from.observe({ services: new Set([service]) });
  await eventually(observation, (now) => instancesOf(now, service)?.[0]?.state === state, within.within);
  await observation.close();
};

describe("Consul's checks", () => {
  it.each<[string, (identity: Identity) => Promise<Target>, Record<string, string>]>([
    ["http", () => httpTarget(), { http: "/health" }],
    ["https", httpTarget, { https: "/health", tls_skip_verify: "true" }],
    ["tcp", () => tcpTarget(), { tcp: "true" }],
    ["grpc", () => grpcTarget(), { grpc: "true" }],
    ["grpc-tls", grpcTarget, { grpc: "/x.Y", grpc_use_tls: "true", tls_skip_verify: "true" }],
    ["two-kinds", () => httpTarget(), { http: "/health", "2_tcp": "true" }],
  ])("of kind %s turn an instance unhealthy, and ready again", async (kind, make, checks) => {
    const aim = await target(make(identity));
    const { owner, lease } = await joined();
    const instance = at(owner, `kind-${kind}`, aim.port, { ...checks, interval: "1s", timeout: "1s" });
    expect((await lease.register(instance, signal)).leftOut).toEqual([]);
    await seen(instance.service, "ready");
    aim.works(false);
    await seen(instance.service, "unhealthy");
    aim.works(true);
    await seen(instance.service, "ready");
  });

  it("ask as they were told to", async () => {
    const aim = await target(httpTarget());
    const { owner, lease } = await joined();
    const checks = {
      http: "/a b?c=d",
      http_method: "POST",
      header: "X-Token: hunter2",
      body: "hello",
      interval: "1s",
    };
    await lease.register(at(owner, "told", aim.port, checks), signal);
    const [request = ""] = await waitFor("a request", () => aim.seen.length > 0 && aim.seen, within);
    expect(request).toMatch(/^POST \/a%20b\?c=d .*"x-token":"hunter2".* hello$/);
    await seen("told", "ready");
    // Who may read the service may not read what could be a secret.
    expect(await (await fetch(`${consul.url}/v1/health/service/told`)).text()).not.toContain("hunter2");
  });

  it("serve a new instance after its first pass, or at once when told so", async () => {
    const { owner, lease } = await joined();
    const never = { http: "/", interval: "1h" };
    await lease.register(at(owner, "first-default", 9, never), signal);
    await lease.register(at(owner, "first-passing", 9, { ...never, initial_status: "passing" }), signal);
    await seen("first-default", "unhealthy");
    await seen("first-passing", "ready");
  });

  it("keep the agent's state over our writes, and the beats of the alias", async () => {
    const aim = await target(httpTarget());
    const { owner, lease } = await joined();
    const instance = at(owner, "stays", aim.port, { http: "/", interval: "1s" });
    await lease.register(instance, signal);
    await seen("stays", "ready");
    const observation = backend.observe({ services: new Set(["stays"]) });
    const states = new Set<string | undefined>();
    observation.subscribe(() => {
      const now = observation.current();
      if (now.known) states.add(instancesOf(now.value, "stays")?.[0]?.state);
    });
    // Nothing asks again within the test: what is passing now was passing before.
    const slow = { http: "/", interval: "1h" };
    for (const tags of [["a"], ["b"]]) await lease.register({ ...instance, tags, checks: slow }, signal);
    await lease.register({ ...instance, state: "draining", checks: slow }, signal);
    await eventually(observation, (now) => instancesOf(now, "stays")?.[0]?.state === "draining");
    await lease.register({ ...instance, tags: ["c"], checks: slow }, signal);
    await eventually(observation, (now) => instancesOf(now, "stays")?.[0]?.tags[0] === "c");
    expect(await checksOf(instance.id)).toEqual({
      [alias(instance.id)]: "passing",
      [check(instance.id, "http")]: "passing",
    });
    expect([...states].filter((state) => state !== "ready" && state !== "draining")).toEqual([]);
    await observation.close();
  });

  it("go with their label, and leave an operator's maintenance where it is", async () => {
    const { owner, lease } = await joined();
    const instance = at(owner, "unlabelled", 9, { http: "/", "2_tcp": "true", interval: "1h" });
    await lease.register(instance, signal);
    await ask("PUT", `/agent/service/maintenance/${encodeURIComponent(instance.id)}?enable=true&reason=fire`);
    await lease.register({ ...instance, checks: { http: "/", interval: "1h" } }, signal);
    const maintenance = `_service_maintenance:${instance.id}`;
    expect(Object.keys(await checksOf(instance.id)).sort()).toEqual(
      [maintenance, alias(instance.id), check(instance.id, "http")].sort(),
    );
    const { checks: _, ...without } = instance;
    await lease.register(without, signal);
    expect(Object.keys(await checksOf(instance.id)).sort()).toEqual([maintenance, alias(instance.id)].sort());
    await seen("unlabelled", "draining");
  });

  it("are given back to their owner as they were ordered, also to its next run", async () => {
    const { owner, lease } = await joined();
    const good = at(owner, "back-good", 9, { http: "/", interval: "1h" });
    const bad = at(owner, "back-bad", 9, { http: "http://[", htpp: "/x" });
    const secret = at(owner, "back-secret", 9, { http: "/", header: "X: hunter2", script: "x 'y" });
    const none = someInstance(owner, { service: "back-none" });
    const all = [good, bad, secret, none];
    for (const instance of all) await lease.register(instance, signal);
    const differing = async (of = lease) => {
      const owned = new Map((await of.owned(signal)).map((instance) => [instance.id, instance]));
      expect(owned.size).toBe(4);
      return all.filter((instance) => !sameInstance(owned.get(instance.id) ?? none, instance));
    };
    expect(await differing()).toEqual([]);
    const next = await joined({}, 30, backend, { ...owner, run: "next" });
    // Of what may be a secret only the digest is there: such a record is written once by each run.
    expect(await differing(next.lease)).toEqual([bad, secret]);
    for (const instance of [bad, secret]) await next.lease.register(instance, signal);
    expect(await differing(next.lease)).toEqual([]);
    await ask("PUT", `/agent/check/deregister/${encodeURIComponent(check(good.id, "http"))}`);
    expect(await differing(next.lease)).toEqual([good]);
    await next.lease.register(good, signal);
    expect(Object.keys(await checksOf(good.id)).sort()).toEqual([alias(good.id), check(good.id, "http")]);
    expect(await differing(next.lease)).toEqual([]);
  });

  it("cost no request where nobody orders any", async () => {
    const proxy = await startFaultProxy({ upstream: { port: consul.port }, protocol: "http" });
    const behind = await open(proxy.port);
    const { owner, lease } = await joined({}, 30, behind);
    await lease.register(someInstance(owner, { service: "free" }), signal);
    proxy.resetCounts();
    await lease.owned(signal);
    await lease.renew(signal);
    expect(proxy.counts().requests.map(({ path }) => path.split("?")[0])).toEqual([
      "/v1/agent/services",
      `/v1/agent/check/pass/${encodeURIComponent(`portolan:${owner.node}:${owner.run}`)}`,
    ]);
    await lease.release(signal);
    await behind.close();
    await proxy.stop();
  });
});

describe("an agent that refuses checks", () => {
  const api = createConsulApi(consulAddress(parseBackendUrl("consul://127.0.0.1:1"), { env: {} }), {
    wait: 1000,
    patience: 1000,
  });
  afterAll(() => api.close());
  const instance = at(someOwner(), "refusing", 9, { http: "/", tcp: "true" });

  it("gets the service without them, and is not asked again for the same ones", async () => {
    const checks = createLeaseChecks(api, 15, true);
    const offers: number[] = [];
    const put = async (ordered: readonly OrderedCheck[]) => {
      offers.push(ordered.length);
      if (ordered.length > 1) throw new PortolanError("FAILED", "consul: no such field (400)");
      return ["meta.x: too long"];
    };
    const why = "checks: consul: no such field (400); registered without them";
    expect(await checks.write(instance, put, signal)).toEqual(["meta.x: too long", why]);
    expect(await checks.write({ ...instance, tags: [] }, put, signal)).toEqual(["meta.x: too long", why]);
    expect(offers).toEqual([2, 0, 0]);
    expect(await checks.write({ ...instance, checks: { http: "/" } }, put, signal)).toEqual([
      "meta.x: too long",
    ]);
    expect(offers).toEqual([2, 0, 0, 1]);
  });

  it("is not blamed for what fails without them too, or for an outage", async () => {
    const checks = createLeaseChecks(api, 15, true);
    const offers: number[] = [];
    const failing = (code: ErrorCode) => async (ordered: readonly OrderedCheck[]) => {
      offers.push(ordered.length);
      throw new PortolanError(code, "no");
    };
    await expect(checks.write(instance, failing("FAILED"), signal)).rejects.toThrow("no");
    await expect(checks.write(instance, failing("BACKEND_UNREACHABLE"), signal)).rejects.toThrow("no");
    expect(offers).toEqual([2, 0, 2]);
  });
});

describe("TTL checks", () => {
  it("pass while the container works, and turn critical when nobody beats any more", async () => {
    const { owner, lease } = await joined({}, 2);
    const instance = at(owner, "ttl", 9, { ttl: "2s" });
    const status = async () => (await checksOf(instance.id))[check(instance.id, "ttl")];
    await lease.register(instance, signal);
    expect(await status()).toBe("passing");
    const end = performance.now() + 5000;
    while (performance.now() < end) {
      await lease.renew(signal);
      expect(await status()).toBe("passing");
      await new Promise((resolve) => setTimeout(resolve, 600));
    }
    // Mirrors Docker's HEALTHCHECK, by way of the state.
    await lease.register({ ...instance, state: "unhealthy" }, signal);
    expect(await status()).toBe("critical");
    await lease.register({ ...instance, state: "draining" }, signal);
    expect(await status()).toBe("passing");
    await lease.register(instance, signal);
    expect(await status()).toBe("passing");
    await waitFor("it to be critical", async () => (await status()) === "critical", within);
  });

  it("get one beat in a third of their time, also from the next run", async () => {
    const proxy = await startFaultProxy({ upstream: { port: consul.port }, protocol: "http" });
    const behind = await open(proxy.port);
    const owner = someOwner();
    const first = await joined({}, 2, behind, owner);
    const instance = at(owner, "ttl-slow", 9, { ttl: "6s" });
    await first.lease.register(instance, signal);
    const { lease } = await joined({}, 2, behind, { ...owner, run: "next" });
    await lease.owned(signal);
    proxy.resetCounts();
    const begin = performance.now();
    while (performance.now() - begin < 5000) {
      await lease.renew(signal);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const beats = proxy.counts().requests.filter(({ path }) => path.includes("/check/update/")).length;
    expect(beats).toBeGreaterThanOrEqual(2);
    expect(beats).toBeLessThanOrEqual(1 + (performance.now() - begin) / 1900);
    expect((await checksOf(instance.id))[check(instance.id, "ttl")]).toBe("passing");
    await lease.release(signal);
    await behind.close();
    await proxy.stop();
  });
});

describe("script checks", () => {
  const file = join(tempDir("script"), "it is alive");
  const checks = { script: `test -e '${file}'`, interval: "1s" };

  it("run without a shell, where they are allowed", async () => {
    const { owner, lease } = await joined({ allowCheckScripts: true });
    expect((await lease.register(at(owner, "script", 9, checks), signal)).leftOut).toEqual([]);
    await seen("script", "unhealthy");
    writeFileSync(file, "");
    await seen("script", "ready");
    rmSync(file);
    await seen("script", "unhealthy");
    const place = at(owner, "script-place", 9, {
      script: `test '$SERVICE_IP $SERVICE_PORT;exit' = "127.0.0.1 9;exit"`,
      interval: "1s",
    });
    await lease.register(place, signal);
    await seen("script-place", "ready");
  });

  it("are left out where they are not, and the rest stays", async () => {
    const { owner, lease } = await joined();
    const instance = at(owner, "script-off", 9, { ...checks, "2_http": "/", "2_initial_status": "passing" });
    const { leftOut } = await lease.register(instance, signal);
    expect(leftOut).toEqual([expect.stringMatching(/^CHECK_SCRIPT: .*--allow-check-scripts/) as string]);
    expect(Object.keys(await checksOf(instance.id)).sort()).toEqual(
      [alias(instance.id), check(instance.id, "2_http")].sort(),
    );
    const [owned] = await lease.owned(signal);
    expect(owned && sameInstance(owned, instance)).toBe(true);
  });

  it("are left out where the agent refuses them, without a second try for each service", async () => {
    const proxy = await startFaultProxy({ upstream: { port: strict.port }, protocol: "http" });
    const behind = await open(proxy.port);
    const { owner, lease } = await joined({ allowCheckScripts: true }, 30, behind);
    const instances = ["a", "b"].map((name) => at(owner, `refused-${name}`, 9, { ...checks, "2_http": "/" }));
    for (const instance of instances) {
      const { leftOut } = await lease.register(instance, signal);
      expect(leftOut).toEqual([expect.stringContaining("enable_script_checks") as string]);
      expect(Object.keys(await checksOf(instance.id, strict)).sort()).toEqual(
        [alias(instance.id), check(instance.id, "2_http")].sort(),
      );
    }
    const writes = proxy.counts().requests.filter(({ path }) => path.includes("/agent/service/register"));
    // The heartbeat, the refused one, and one for each.
    expect(writes).toHaveLength(4);
    const owned = await lease.owned(signal);
    expect(instances.every((instance) => owned.some((other) => sameInstance(other, instance)))).toBe(true);
    await lease.release(signal);
    await behind.close();
    await proxy.stop();
  });
});

describe("a record without an owner", () => {
  const planted = async (owner: Owner, service: string, checks: Record<string, unknown>[]) => {
    const instance = at(owner, service, 9, {});
    await ask("PUT", "/agent/service/register", {
      ID: instance.id,
      Name: service,
      Address: "127.0.0.1",
      Port: 9,
      Checks: checks,
    });
    return instance;
  };

  it("loses the checks that it had when it is adopted, and an operator's maintenance stays", async () => {
    const owner = someOwner();
    const old = [
      { HTTP: "http://127.0.0.1:9/", Interval: "1h" },
      { CheckID: "by-hand", TTL: "1h" },
    ];
    const [free, maintained] = [await planted(owner, "old-a", old), await planted(owner, "old-b", old)];
    await ask("PUT", `/agent/service/maintenance/${encodeURIComponent(maintained.id)}?enable=true`);
    const { lease } = await joined({ adopt: (id) => id.startsWith(owner.node) }, 30, backend, owner);
    expect(await lease.owned(signal)).toHaveLength(2);
    const passing = { http: "/", interval: "1h", initial_status: "passing" };
    for (const instance of [free, maintained]) await lease.register({ ...instance, checks: passing }, signal);
    await seen("old-a", "ready");
    await seen("old-b", "draining");
    expect(await checksOf(free.id)).toEqual({
      [alias(free.id)]: "passing",
      [check(free.id, "http")]: "passing",
    });
    const owned = await lease.owned(signal);
    expect(owned.map((instance) => instance.owner)).toEqual([ownerText(owner), ownerText(owner)]);
  });

  it("can be removed when it could not even be read", async () => {
    const owner = someOwner();
    const id = `${owner.node}:no-port`;
    await ask("PUT", "/agent/service/register", { ID: id, Name: "no-port" });
    const { lease } = await joined({ adopt: (other) => other === id }, 30, backend, owner);
    const [found] = await lease.owned(signal);
    expect(found).toMatchObject({ service: "no-port", id });
    if (found) await lease.deregister(found, signal);
    expect(await lease.owned(signal)).toEqual([]);
  });
});

describe("without a time to live", () => {
  it("nothing hangs on a heartbeat, and orders are still known", async () => {
    const { owner, lease } = await joined({}, 0);
    const checks = { http: "/", interval: "1h", initial_status: "passing", ttl: "30s" };
    const instance = at(owner, "no-ttl", 9, checks);
    const { leftOut } = await lease.register(instance, signal);
    expect(leftOut).toEqual([expect.stringContaining("CHECK_TTL=30s") as string]);
    expect(await checksOf(instance.id)).toEqual({ [check(instance.id, "http")]: "passing" });
    expect(await checksOf(`portolan:${owner.node}`)).toEqual({});
    const next = await joined({}, 0, backend, { ...owner, run: "next" });
    const [owned] = await next.lease.owned(signal);
    expect(owned && sameInstance(owned, instance)).toBe(true);
    await next.lease.register(someInstance(owner, { service: "no-ttl-plain", state: "draining" }), signal);
    expect(await next.lease.owned(signal)).toMatchObject([{}, { state: "draining" }]);
    // Another run of ours has not taken anything away.
    await lease.register({ ...instance, tags: ["again"] }, signal);
    expect(await lease.owned(signal)).toHaveLength(2);
    expect(encodeInstance((await lease.owned(signal))[0] ?? instance)).toContain("again");
  });

  it("differs from a record that hangs on a heartbeat, and from one that should", async () => {
    const owner = someOwner();
    const first = await joined({}, 30, backend, owner);
    const instance = someInstance(owner, { service: "switch" });
    await first.lease.register(instance, signal);
    const same = async (lease = first.lease) => {
      const [owned] = await lease.owned(signal);
      return owned !== undefined && sameInstance(owned, instance);
    };
    expect(await same()).toBe(true);
    const second = await joined({}, 0, backend, { ...owner, run: "2" });
    expect(await same(second.lease)).toBe(false);
    await second.lease.register(instance, signal);
    expect(await same(second.lease)).toBe(true);
    expect(await checksOf(instance.id)).toEqual({});
    const third = await joined({}, 30, backend, { ...owner, run: "3" });
    expect(await same(third.lease)).toBe(false);
    await third.lease.register(instance, signal);
    expect(await same(third.lease)).toBe(true);
    expect(await checksOf(instance.id)).toEqual({ [alias(instance.id)]: "passing" });
    await expect(second.lease.owned(signal)).rejects.toMatchObject({ code: "SUPERSEDED" });
  });
});
