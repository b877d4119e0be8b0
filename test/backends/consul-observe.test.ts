// What readers of a real Consul are told: through few connections, and never that nothing is there when it is not so.
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Backend, instancesOf, type Observation } from "../../src/backends/backend.ts";
import { openConsul } from "../../src/backends/consul/consul.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import type { Instance } from "../../src/instance.ts";
import { type Consul, startConsul } from "../servers/consul.ts";
import { type FaultProxy, startFaultProxy } from "../servers/proxy.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { looksAt, signal } from "./backend-stage.ts";
import { eventually, someInstance, someOwner } from "./contract/suite.ts";

const within = { within: 30_000 };
const urlOf = (port: number, more = "") => parseBackendUrl(`consul://127.0.0.1:${port}${more}`);
const sizes = (observation: Observation, services: readonly string[]) => {
  const now = observation.current();
  return now.known ? services.map((service) => instancesOf(now.value, service)?.length) : undefined;
};

describe("many services", () => {
  const count = 300;
  const names = Array.from({ length: count }, (_, at) => `crowd-${String(at).padStart(3, "0")}`);
  let consul: Consul;
  let proxy: FaultProxy;
  let backend: Backend;
  beforeAll(async () => {
    consul = await startConsul({ persistent: true });
    proxy = await startFaultProxy({ upstream: { port: consul.port }, protocol: "http" });
    backend = await openConsul(urlOf(proxy.port), { env: {} });
    for (const name of names) await put(name, 80);
  });
  afterAll(async () => {
    await backend?.close();
    await proxy?.stop();
    await consul?.stop();
  });
  const agent = async (path: string, body?: unknown) => {
    const answer = await fetch(`${consul.url}/v1/agent/service/${path}`, {
      method: "PUT",
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    expect(answer.status).toBe(200);
  };
  const put = (Name: string, Port: number, more = {}) =>
    agent("register", { Name, Port, Address: "10.0.0.1", ...more });
  const portOf = (observation: Observation, name: string) => {
    const now = observation.current();
    return now.known && !now.problem ? instancesOf(now.value, name)?.[0]?.port : undefined;
  };

  it("are followed through a bounded number of connections, each change of each of them", async () => {
    const observation = backend.observe({ services: new Set(names) });
    await eventually(
      observation,
      (now) => names.every((name) => instancesOf(now, name)?.length === 1),
      60_000,
    );
    expect(proxy.counts().open).toBeLessThan(40);

    // A query for each would be asked again and again.
    const isQuiet = async () => {
      proxy.resetCounts();
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      return proxy.counts().requests.length < 10;
    };
    await waitFor("quiet", isQuiet, within);

    const changed = names.filter((_, at) => at % 60 === 0 || at === count - 1);
    for (const name of changed) await put(name, 81);
    await waitFor("the changes", () => changed.every((name) => portOf(observation, name) === 81), within);
    // Checks of others, and what goes.
    await put("crowd-299", 81, { Check: { CheckID: "c", TTL: "1h", Status: "critical" } });
    await agent("deregister/crowd-298");
    const stateOf = (name: string) => {
      const now = observation.current();
      return now.known ? instancesOf(now.value, name)?.map(({ state }) => state) : undefined;
    };
    await waitFor("the check", () => stateOf("crowd-299")?.[0] === "unhealthy", within);
    await waitFor("the end", () => stateOf("crowd-298")?.length === 0, within);
    await put("crowd-298", 80);
    expect(proxy.counts().open).toBeLessThan(40);

    // What changed last is followed by a query of its own: no round over all others is waited for.
    proxy.resetCounts();
    await put("crowd-299", 82);
    await waitFor("the next change", () => portOf(observation, "crowd-299") === 82, within);
    const asked = proxy
      .counts()
      .requests.filter(({ path }) => path.startsWith("/v1/health/service/crowd-299"));
    expect(asked.filter(({ path }) => !path.includes("index="))).toEqual([]);
    await observation.close();
  });

  it("are known again after an outage, within the same bound", async () => {
    const observation = backend.observe({ services: "all" });
    const all = (now: { readonly services: ReadonlyMap<string, unknown> }) => now.services.size >= count;
    await eventually(observation, (now) => now.complete && all(now), 60_000);
    proxy.refuse();
    await waitFor("the problem", () => observation.current().problem, within);
    await put("crowd-100", 90);
    proxy.resetCounts();
    const begun = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await proxy.pass();
    await waitFor("the end of it", () => !observation.current().problem, { within: 60_000 });
    expect(portOf(observation, "crowd-100")).toBe(90);
    expect(sizes(observation, names)).toEqual(names.map(() => 1));
    expect(proxy.counts().open).toBeLessThan(40);
    expect(performance.now() - begun).toBeLessThan(60_000);
    await observation.close();
  });
});

describe("a token that may not read", () => {
  const master = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
  const all = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }';
  let consul: Consul;
  beforeAll(async () => {
    const acl = `acl {\n  enabled = true\n  default_policy = "deny"\n  tokens {\n    master = "${master}"\n  }\n}`;
    consul = await startConsul({ hcl: acl, token: master });
    await as("agent/service/register", { Name: "guarded", Port: 80, Address: "10.0.0.1" });
  });
  afterAll(() => consul?.stop());
  const as = async (path: string, body: unknown) => {
    const headers = { "x-consul-token": master };
    const answer = await fetch(`${consul.url}/v1/${path}`, {
      method: "PUT",
      headers,
      body: JSON.stringify(body),
    });
    expect(answer.status).toBe(200);
    return answer;
  };
  let policies = 0;
  const policyOf = async (Rules: string) => {
    policies += 1;
    const answer = await as("acl/policy", { Name: `p${policies}`, Rules });
    return (await answer.json()) as { readonly ID: string; readonly Name: string };
  };
  const tokenOf = async (Name: string) => {
    const answer = await as("acl/token", { Policies: [{ Name }] });
    return ((await answer.json()) as { readonly SecretID: string }).SecretID;
  };
  const openAs = (token: string, more = "", wait = 30_000) =>
    openConsul(urlOf(consul.port, more), { env: { CONSUL_HTTP_TOKEN: token } }, { wait, patience: 5_000 });

  it.each([
    ["nothing", 'key_prefix "" { policy = "read" }'],
    ["the service but no node", 'service "guarded" { policy = "read" }'],
    ["nodes but not the service", 'node_prefix "" { policy = "read" }'],
  ])("is denied, and knows nothing, with %s", async (_, rules) => {
    const backend = await openAs(await tokenOf((await policyOf(rules)).Name));
    const observation = backend.observe({ services: new Set(["guarded"]) });
    await looksAt(() => observation).problem("denied");
    expect(observation.current().known).toBe(false);
    await backend.close();
  });

  it("is not needed for a service that is empty, or that nobody knows", async () => {
    const rules = 'service_prefix "guar" { policy = "read" } node_prefix "" { policy = "read" }';
    const backend = await openAs(await tokenOf((await policyOf(rules)).Name));
    const observation = backend.observe({ services: new Set(["guarded", "guarded-too"]) });
    await eventually(observation, (now) => now.services.size === 2);
    expect(sizes(observation, ["guarded", "guarded-too"])).toEqual([1, 0]);
    expect(observation.current().problem).toBeUndefined();
    const everything = backend.observe({ services: "all" });
    await eventually(everything, (now) => now.complete && now.services.size === 1);
    await backend.close();
  });

  it.each([
    ["one service", new Set(["guarded"])],
    ["all services", "all"],
  ] as const)("since a moment ago changes nothing of %s but the problem", async (_, services) => {
    const policy = await policyOf(all);
    const backend = await openAs(await tokenOf(policy.Name), "", 1_000);
    const observation = backend.observe({ services });
    await eventually(observation, (now) => instancesOf(now, "guarded")?.length === 1);
    const seen: unknown[] = [];
    observation.subscribe(() => seen.push(sizes(observation, ["guarded"])?.[0]));
    await as(`acl/policy/${policy.ID}`, { ...policy, Rules: 'key_prefix "" { policy = "read" }' });
    await looksAt(() => observation).problem("denied");
    await as(`acl/policy/${policy.ID}`, { ...policy, Rules: all });
    // Consul keeps a token's rights for up to half a minute.
    await looksAt(() => observation).problem(undefined);
    expect(new Set(seen)).toEqual(new Set([1]));
    await backend.close();
  });

  it("any more, because its file was replaced, changes nothing but the problem", async () => {
    const file = join(tempDir("token"), "token");
    const [good, bad] = [await policyOf(all), await policyOf('key_prefix "" { policy = "read" }')];
    writeFileSync(file, await tokenOf(good.Name));
    const backend = await openAs("", `?token-file=${file}`);
    const observation = backend.observe({ services: new Set(["guarded"]) });
    const { seen, problem, kept } = looksAt(() => observation);
    await seen("guarded");
    writeFileSync(file, await tokenOf(bad.Name));
    observation.refresh();
    await problem("denied");
    expect(kept()).toEqual(["guarded"]);
    writeFileSync(file, await tokenOf(good.Name));
    await problem(undefined);
    expect(sizes(observation, ["guarded"])).toEqual([1]);
    await backend.close();
  });
});

it("says of an empty service that nobody can tell, where Consul is not asked for rights", async () => {
  const server = createServer((request, answer) => {
    const isRead = request.url?.startsWith("/v1/health/service/");
    // What waits for news waits.
    if (request.url?.includes("index=")) return;
    answer.writeHead(isRead ? 200 : 404, { "content-type": "application/json", "x-consul-index": "7" });
    answer.end(isRead ? "[]" : "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const backend = await openConsul(urlOf((server.address() as AddressInfo).port), { env: {} });
  const observation = backend.observe({ services: new Set(["old"]) });
  const snapshot = await eventually(observation, (now) => instancesOf(now, "old")?.length === 0);
  expect(snapshot.invalid.get("old")).toContain("the token may not read it: this Consul does not tell");
  await backend.close();
  server.closeAllConnections();
  server.close();
});

describe("stale and cached reads", () => {
  let consul: Consul;
  beforeAll(async () => {
    consul = await startConsul();
  });
  afterAll(() => consul?.stop());

  it.each(["?stale", "?cached", "?stale&cached"])("with %s follow every change", async (query) => {
    const proxy = await startFaultProxy({ upstream: { port: consul.port }, protocol: "http" });
    const backend = await openConsul(urlOf(proxy.port, query), { env: {} });
    const owner = someOwner();
    const lease = backend.lease(owner, 30);
    await lease.renew(signal);
    const service = `lenient-${owner.node}`;
    const instance = someInstance(owner, { service });
    await lease.register(instance, signal);
    const [one, every] = [
      backend.observe({ services: new Set([service]) }),
      backend.observe({ services: "all" }),
    ];
    for (const observation of [one, every]) {
      await eventually(observation, (now) => instancesOf(now, service)?.[0]?.port === instance.port);
    }
    for (const over of [{ port: 4_000 }, { state: "draining" }, { state: "ready" }] as Partial<Instance>[]) {
      await lease.register({ ...instance, port: 4_000, ...over }, signal);
      const isSo = (seen: Instance | undefined) =>
        seen?.port === 4_000 && seen.state === (over.state ?? "ready");
      for (const observation of [one, every]) {
        await eventually(observation, (now) => isSo(instancesOf(now, service)?.[0]));
      }
    }
    await lease.release(signal);
    await eventually(one, (now) => instancesOf(now, service)?.length === 0);
    const paths = proxy.counts().requests.map(({ path }) => path);
    const reads = paths.filter((path) => /^\/v1\/(health\/service\/lenient|catalog\/services)/.test(path));
    expect(reads.length).toBeGreaterThan(5);
    for (const word of query.slice(1).split("&")) {
      expect(reads.filter((path) => !new RegExp(`[?&]${word}(=|&|$)`).test(path))).toEqual([]);
    }
    await backend.close();
    await proxy.stop();
  });
});

describe("an agent that restarted empty", () => {
  const services = ["first", "second", "third"];

  /** A host with some instances, as its registrator keeps them: it beats, and fills what is gone. */
  async function keptHost(agent: Consul) {
    const backend = await openConsul(urlOf(agent.port), { env: {} });
    const owner = someOwner();
    const lease = backend.lease(owner, 15);
    const wanted = services.flatMap((service) =>
      [1, 2].map((n) =>
        someInstance(owner, { service, id: `${owner.node}:${service}-${n}:80`, port: 80 + n }),
      ),
    );
    const fill = async () => {
      for (const instance of wanted) await lease.register(instance, signal);
    };
    await lease.renew(signal);
    await fill();
    return {
      lease,
      wanted,
      fill,
      /** Raises Consul's index well beyond that of a fresh agent. */
      async age() {
        for (let at = 0; at < 30; at += 1) {
          for (const instance of wanted.slice(0, 1))
            await lease.register({ ...instance, port: 1_000 + at }, signal);
        }
        await fill();
      },
      close: () => backend.close(),
    };
  }

  it("is refilled, and never shown as empty or half full meanwhile", async () => {
    const agent = await startConsul();
    const host = await keptHost(agent);
    await host.age();
    const backend = await openConsul(urlOf(agent.port), { env: {} });
    const [some, every] = [
      backend.observe({ services: new Set(services) }),
      backend.observe({ services: "all" }),
    ];
    const full = services.map(() => 2);
    const seen: unknown[] = [];
    for (const observation of [some, every]) {
      await eventually(observation, (now) => services.every((name) => instancesOf(now, name)?.length === 2));
      observation.subscribe(() => seen.push(sizes(observation, services)));
    }
    await agent.wipeAndRestart();
    for (const observation of [some, every]) {
      await waitFor("the problem", () => observation.current().problem, within);
    }
    const renewed = () => host.lease.renew(signal).catch(() => undefined);
    const renewal = await waitFor("a renewal", renewed, { within: 20_000, every: 200 });
    expect(renewal).toMatchObject({ fresh: true });
    // Longer than a reader needs to see that it is empty.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await host.fill();
    for (const observation of [some, every]) {
      await waitFor("the end of the problem", () => !observation.current().problem, within);
      expect(sizes(observation, services)).toEqual(full);
    }
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.filter((now) => JSON.stringify(now) !== JSON.stringify(full))).toEqual([]);
    // From now on what goes is gone at once.
    for (const instance of host.wanted.slice(0, 2)) await host.lease.deregister(instance, signal);
    await eventually(some, (now) => instancesOf(now, "first")?.length === 0);
    await host.close();
    await backend.close();
    await agent.stop();
  });

  it("is believed to be empty when nobody has refilled it for a while", async () => {
    const agent = await startConsul();
    const host = await keptHost(agent);
    await host.age();
    const timing = { wait: 30_000, patience: 5_000, grace: 3_000 };
    const backend = await openConsul(urlOf(agent.port), { env: {} }, timing);
    const observation = backend.observe({ services: new Set(services) });
    await eventually(observation, (now) => services.every((name) => instancesOf(now, name)?.length === 2));
    await agent.wipeAndRestart();
    await waitFor("the problem", () => observation.current().problem, within);
    await eventually(
      observation,
      (now) => services.every((name) => instancesOf(now, name)?.length === 0),
      30_000,
    );
    expect(observation.current().problem).toBeUndefined();
    await host.close();
    await backend.close();
    await agent.stop();
  });
});
