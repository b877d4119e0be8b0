import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Backend, instancesOf, type Observation } from "../../src/backends/backend.ts";
import { openConsul } from "../../src/backends/consul/consul.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { encodeInstance, type Instance, type State } from "../../src/instance.ts";
import { type Consul, startConsul } from "../servers/consul.ts";
import { get } from "../servers/http.ts";
import { freePort } from "../servers/ports.ts";
import { type FaultProxy, startFaultProxy } from "../servers/proxy.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { contractSuite, eventually, someInstance, someOwner } from "./contract/suite.ts";
import { openGate } from "./gate.ts";

const signal = new AbortController().signal;

const token = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
/** Not the run's shared agent: these tests put the whole node into maintenance, and some come without a token. */
let consul: Consul;
beforeAll(async () => {
  const hcl = `acl {\n  enabled = true\n  default_policy = "deny"\n  tokens {\n    master = "${token}"\n  }\n}\n`;
  consul = await startConsul({ hcl, token });
});
afterAll(() => consul?.stop());

const open = (
  port: number,
  timing?: { wait: number; patience: number },
  CONSUL_HTTP_TOKEN = token,
): Promise<Backend> =>
  openConsul(parseBackendUrl(`consul://127.0.0.1:${port}`), { env: { CONSUL_HTTP_TOKEN } }, timing);

contractSuite({
  name: "consul:",
  ttl: 2,
  async start() {
    const gate = await openGate(consul.port);
    return {
      open: () => open(gate.port),
      cut: async () => gate.cut(),
      heal: async () => gate.open(),
      async wipe() {
        for (const id of Object.keys(await ask<object>("GET", "/agent/services")))
          await ask("PUT", `/agent/service/deregister/${encodeURIComponent(id)}`);
        await ask("DELETE", "/kv/?recurse");
      },
      openUnreachable: async () => open(await freePort()),
      async openDenied(key) {
        await ask("PUT", `/kv/${key}`, "x");
        return open(consul.port, undefined, "");
      },
      // Nobody renews any more: to Consul that is all there is of a death.
      openMortal: async () => {
        const backend = await open(consul.port);
        return { backend, die: () => backend.close() };
      },
      // As gliderlabs/registrator would: with a check of its own.
      plant: ({ id, service, address, port, tags }) =>
        ask("PUT", "/agent/service/register", {
          ID: id,
          Name: service,
          Address: address,
          Port: port,
          Tags: tags,
          Check: { TTL: "10s", Status: "passing" },
        }),
      unclaim: (node) => ask("PUT", `/agent/service/deregister/${encodeURIComponent(`portolan:${node}`)}`),
      close: () => gate.close(),
    };
  },
});

/** Asks Consul itself. */
async function ask<T = unknown>(method: string, path: string, body?: unknown, of = consul): Promise<T> {
  const answer = await fetch(`${of.url}/v1${path}`, {
    method,
    headers: { "x-consul-token": token },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

interface Health {
  readonly Service: { readonly ID: string; readonly Meta: Record<string, string> };
  readonly Checks: readonly { readonly CheckID: string; readonly Status: string; readonly Notes: string }[];
}
const health = (service: string) => ask<Health[]>("GET", `/health/service/${encodeURIComponent(service)}`);
const passing = (service: string) => ask<Health[]>("GET", `/health/service/${service}?passing`);
const maintain = (id: string, on: boolean, reason = "") =>
  ask(
    "PUT",
    `/agent/service/maintenance/${encodeURIComponent(id)}?enable=${on}&reason=${encodeURIComponent(reason)}`,
  );

const watch = (backend: Backend, ...services: string[]) => backend.observe({ services: new Set(services) });
const states = (observation: Observation, service: string): (string | undefined)[] => {
  const now = observation.current();
  return now.known
    ? (instancesOf(now.value, service)?.map(({ state }) => state) ?? [undefined])
    : [undefined];
};
const stateOf = (observation: Observation, service: string, state: State) =>
  eventually(observation, (snapshot) => instancesOf(snapshot, service)?.[0]?.state === state);

describe("consul:", () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await open(consul.port);
  });
  afterAll(() => backend?.close());

  const joined = async (over = {}, from = backend) => {
    const owner = someOwner(over);
    const lease = from.lease(owner, 5);
    await lease.renew(signal);
    return { owner, lease };
  };
  const readBack = async (instance: Instance) => {
    const observation = watch(backend, instance.service);
    const seen = await eventually(
      observation,
      (snapshot) => instancesOf(snapshot, instance.service)?.some(({ id }) => id === instance.id) ?? false,
    );
    await observation.close();
    return instancesOf(seen, instance.service)?.find(({ id }) => id === instance.id);
  };

  describe("the record", () => {
    it.each([0, 1, 2, 256])("keeps the weight %i", async (weight) => {
      const { owner, lease } = await joined();
      const instance = someInstance(owner, { service: `weight-${weight}`, weight });
      await lease.register(instance, signal);
      expect((await readBack(instance))?.weight).toBe(weight);
      await lease.release(signal);
    });

    it("comes back whole, and the owner reads the same", async () => {
      const { owner, lease } = await joined();
      const instance = someInstance(owner, {
        service: "whole",
        protocol: "udp",
        weight: 0,
        role: "slave",
        claim: { by: "redis", epoch: "17" },
        meta: { "with-dash": "☃", empty: "" },
        state: "unhealthy",
      });
      expect((await lease.register(instance, signal)).leftOut).toEqual([]);
      expect(encodeInstance((await readBack(instance)) ?? someInstance(owner))).toBe(
        encodeInstance(instance),
      );
      expect((await lease.owned(signal)).map(encodeInstance)).toEqual([encodeInstance(instance)]);
      await lease.release(signal);
    });

    it("leaves out and names what Consul cannot hold, and registers the rest", async () => {
      const { owner, lease } = await joined();
      const many = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`z${at}`, "v"]));
      const meta = {
        "a.b": "dot",
        [`k${"k".repeat(127)}`]: "128 long",
        [`k${"k".repeat(128)}`]: "129 long",
        "consul-x": "reserved",
        "portolan-x": "reserved",
        fits: "x".repeat(512),
        "fits-too": `${"☃".repeat(170)}xx`,
        long: "☃".repeat(171),
        ...many,
      };
      const instance = someInstance(owner, {
        service: "limits",
        meta,
        container: { id: "1", name: "n", image: "i".repeat(600) },
      });
      const { leftOut } = await lease.register(instance, signal);
      const back = await readBack(instance);
      const lost = Object.keys(meta).filter((key) => back?.meta[key] === undefined);
      expect(leftOut.map((text) => text.split(":")[0]).sort()).toEqual(
        [...lost.map((key) => `meta.${key}`), "container.image"].sort(),
      );
      expect(lost).toEqual(expect.arrayContaining(["a.b", "consul-x", "portolan-x", "long"]));
      expect(back?.meta.fits).toHaveLength(512);
      expect(Buffer.byteLength(back?.meta["fits-too"] ?? "")).toBe(512);
      expect(Object.keys((await health("limits"))[0]?.Service.Meta ?? {})).toHaveLength(64);
      await lease.release(signal);
    });

    it.each(["a//b", "a/../b", "/a", ".", "portolan:x"])("refuses the id %s", async (id) => {
      const { owner, lease } = await joined();
      const instance = someInstance(owner, { service: "refused", id });
      await expect(lease.register(instance, signal)).rejects.toMatchObject({ code: "RECORD" });
      await lease.deregister(instance, signal);
      await lease.release(signal);
    });

    it("hangs on the heartbeat, as the contract's page says", async () => {
      const { owner, lease } = await joined();
      const instance = someInstance(owner, { service: "hangs" });
      await lease.register(instance, signal);
      const checks = await ask<Record<string, { Type: string; ServiceID: string; Status: string }>>(
        "GET",
        "/agent/checks",
      );
      const of = (id: string) => Object.values(checks).filter(({ ServiceID }) => ServiceID === id);
      expect(of(instance.id)).toMatchObject([{ Type: "alias", Status: "passing" }]);
      expect(of(`portolan:${owner.node}`)).toMatchObject([{ Type: "ttl", Status: "passing" }]);
      await lease.release(signal);
      await waitFor(
        "the heartbeat to be gone",
        async () => !(await health(`portolan:${owner.node}`)).length,
        {
          within: 10_000,
        },
      );
    });
  });

  describe("maintenance", () => {
    it("never serves for an instant what is registered not ready", async () => {
      const { owner, lease } = await joined();
      const served = new Set<string>();
      let looks = 0;
      let over = false;
      const looking = (async () => {
        while (!over) {
          for (const { Service } of await passing("instant")) served.add(Service.ID);
          looks += 1;
        }
      })();
      const instances = (["starting", "unhealthy", "draining", "paused"] as const).flatMap((state) =>
        Array.from({ length: 10 }, (_, at) =>
          someInstance(owner, { service: "instant", id: `${owner.node}:${state}${at}`, state }),
        ),
      );
      for (const instance of instances) await lease.register(instance, signal);
      // Again, with other tags: the maintenance has to survive that too.
      for (const instance of instances) await lease.register({ ...instance, tags: ["again"] }, signal);
      await waitFor("all of them", async () => (await health("instant")).length === instances.length, {
        within: 10_000,
      });
      over = true;
      await looking;
      expect(looks).toBeGreaterThan(10);
      expect([...served]).toEqual([]);
      await lease.release(signal);
    });

    it("says our state as its reason, and ends when the instance is ready again", async () => {
      const { owner, lease } = await joined();
      const instance = someInstance(owner, { service: "reason" });
      await lease.register({ ...instance, state: "draining" }, signal);
      await waitFor("the service", async () => (await health("reason")).length, { within: 10_000 });
      const notes = async () =>
        (await health("reason"))[0]?.Checks.find(({ CheckID }) => CheckID.startsWith("_service_maintenance"))
          ?.Notes;
      expect(await notes()).toBe("portolan: draining");
      await lease.register({ ...instance, state: "paused" }, signal);
      await waitFor("the other reason", async () => (await notes()) === "portolan: paused", {
        within: 10_000,
      });
      await lease.register(instance, signal);
      await waitFor("it to be served", async () => (await passing("reason")).length === 1, {
        within: 10_000,
      });
      await lease.release(signal);
    });

    it("of an operator is read as draining, and survives our writes", async () => {
      const { owner, lease } = await joined();
      const instance = someInstance(owner, { service: "operator" });
      await lease.register(instance, signal);
      const observation = watch(backend, "operator");
      await stateOf(observation, "operator", "ready");
      await maintain(instance.id, true, "disk on fire");
      await stateOf(observation, "operator", "draining");
      for (const over of [{ tags: ["a"] }, { state: "unhealthy" }, { tags: ["b"] }] as const) {
        await lease.register({ ...instance, ...over }, signal);
        expect(await lease.owned(signal)).toMatchObject([over]);
      }
      await eventually(observation, (snapshot) => instancesOf(snapshot, "operator")?.[0]?.tags[0] === "b");
      expect(states(observation, "operator")).toEqual(["draining"]);
      const reasons = (await health("operator"))[0]?.Checks.map(({ Notes }) => Notes);
      expect(reasons).toContain("disk on fire");
      await maintain(instance.id, false);
      await stateOf(observation, "operator", "ready");
      await observation.close();
      await lease.release(signal);
    });

    it("of the whole node is read as draining, and not as the death of a registrator", async () => {
      const { owner, lease } = await joined();
      await lease.register(someInstance(owner, { service: "node-down" }), signal);
      const observation = watch(backend, "node-down");
      await stateOf(observation, "node-down", "ready");
      await ask("PUT", "/agent/maintenance?enable=true&reason=kernel");
      try {
        await stateOf(observation, "node-down", "draining");
      } finally {
        await ask("PUT", "/agent/maintenance?enable=false");
      }
      await stateOf(observation, "node-down", "ready");
      await observation.close();
      await lease.release(signal);
    });
  });

  describe("what others registered", () => {
    const foreign = (name: string, over = {}) =>
      ask("PUT", "/agent/service/register", { Name: name, Port: 80, ...over });

    it("is read with its checks as its state, and without an owner", async () => {
      for (const status of ["passing", "warning", "critical"]) {
        await foreign("others", {
          ID: `o-${status}`,
          Meta: { a: "b" },
          Tags: ["x"],
          Weights: { Passing: 500, Warning: 1 },
          Check: { CheckID: `c-${status}`, TTL: "1h", Status: status },
        });
      }
      await foreign("others", { ID: "o-maintained", Address: "10.0.0.9" });
      await foreign("others", { ID: "o-no-port", Port: 0 });
      await maintain("o-maintained", true, "portolan: paused");
      const observation = watch(backend, "others");
      const snapshot = await eventually(
        observation,
        (now) => instancesOf(now, "others")?.length === 4 && now.invalid.size === 1,
      );
      expect(instancesOf(snapshot, "others")?.map(({ id, state }) => [id, state])).toEqual([
        ["o-critical", "unhealthy"],
        ["o-maintained", "draining"],
        ["o-passing", "ready"],
        ["o-warning", "unhealthy"],
      ]);
      expect(instancesOf(snapshot, "others")?.[2]).toEqual({
        id: "o-passing",
        service: "others",
        address: "127.0.0.1",
        port: 80,
        protocol: "tcp",
        tags: ["x"],
        meta: { a: "b" },
        weight: 256,
        state: "ready",
        node: "dev1",
      });
      expect([...snapshot.invalid.keys()]).toEqual(["others/o-no-port on dev1"]);
      await observation.close();
    });

    it("is left alone", async () => {
      await foreign("theirs", { ID: "theirs-1" });
      const { owner, lease } = await joined();
      const mine = someInstance(owner, { service: "theirs", id: "theirs-1" });
      await expect(lease.register(mine, signal)).rejects.toMatchObject({ code: "NOT_OWNER" });
      await expect(lease.deregister(mine, signal)).rejects.toMatchObject({ code: "NOT_OWNER" });
      expect(await lease.owned(signal)).toEqual([]);
      await lease.release(signal);
      expect(Object.keys(await ask<object>("GET", "/agent/services"))).toContain("theirs-1");
    });

    it("has an id of its own even when two Consul nodes use the same", async () => {
      for (const node of ["twin-a", "twin-b"]) {
        await ask("PUT", "/catalog/register", {
          Node: node,
          Address: "10.0.0.1",
          Service: { ID: "twin", Service: "twins", Port: 80 },
        });
      }
      const observation = watch(backend, "twins");
      const snapshot = await eventually(observation, (now) => instancesOf(now, "twins")?.length === 2);
      expect(instancesOf(snapshot, "twins")?.map(({ id }) => id)).toEqual(["twin@twin-a", "twin@twin-b"]);
      await observation.close();
    });

    it("does not hide the rest when its name cannot be read", async () => {
      await foreign("a//b", { ID: "unreadable" });
      const observation = backend.observe({ services: "all" });
      const snapshot = await eventually(observation, (now) => now.complete && now.services.has("a//b"));
      expect([...snapshot.invalid.keys()]).toContain("a//b");
      expect([...snapshot.services.keys()].filter((name) => name.startsWith("portolan:"))).toEqual([]);
      await observation.close();
    });

    it("is hidden when Portolan wrote it on a Consul node that died", async () => {
      const at = (node: string, status: string) =>
        ask("PUT", "/catalog/register", {
          Node: node,
          Address: "10.0.0.1",
          Service: {
            ID: `${node}-1`,
            Service: "remote",
            Port: 80,
            Address: "10.0.0.1",
            Meta: { "portolan-owner": `${node}/X`, "portolan-node": node },
          },
          Check: { Node: node, CheckID: "serfHealth", Status: status },
        });
      await at("alive", "passing");
      await at("dead", "critical");
      const observation = watch(backend, "remote");
      const snapshot = await eventually(observation, (now) => instancesOf(now, "remote")?.length === 1);
      expect(instancesOf(snapshot, "remote")).toMatchObject([
        { id: "alive-1", node: "alive", state: "ready" },
      ]);
      await observation.close();
    });
  });

  describe("the lease", () => {
    it("is refused while another owner's heartbeat passes on another agent", async () => {
      const owner = someOwner();
      const name = `portolan:${owner.node}`;
      const there = (status: string) =>
        ask("PUT", "/catalog/register", {
          Node: "elsewhere",
          Address: "10.0.0.1",
          Service: { ID: name, Service: name, Meta: { "portolan-owner": "other/ONE", "portolan-run": "r" } },
          Check: { Node: "elsewhere", CheckID: `${name}:r`, ServiceID: name, Status: status },
        });
      await there("passing");
      const lease = backend.lease(owner, 5);
      await expect(lease.renew(signal)).rejects.toMatchObject({
        code: "NODE_TAKEN",
        message: expect.stringContaining("other/ONE") as string,
      });
      await there("critical");
      expect(await lease.renew(signal)).toEqual({ ttl: 5, fresh: true });
      await lease.release(signal);
    });

    it("rejects in owned too once a later run took over, and release leaves that run's records", async () => {
      const { owner, lease } = await joined();
      const instance = someInstance(owner, { service: "later" });
      await lease.register(instance, signal);
      const later = backend.lease({ ...owner, run: "later" }, 5);
      await later.renew(signal);
      await expect(lease.owned(signal)).rejects.toMatchObject({ code: "SUPERSEDED" });
      await expect(lease.renew(signal)).rejects.toMatchObject({ code: "SUPERSEDED" });
      await expect(lease.register(instance, signal)).rejects.toMatchObject({ code: "LEASE_LOST" });
      await expect(lease.release(signal)).rejects.toMatchObject({ code: "SUPERSEDED" });
      expect(await later.owned(signal)).toHaveLength(1);
      // The later run ends without a goodbye: the first may go on.
      await ask("PUT", `/agent/check/fail/${encodeURIComponent(`portolan:${owner.node}:later`)}`);
      expect(await lease.renew(signal)).toMatchObject({ fresh: true });
      expect(await lease.owned(signal)).toHaveLength(1);
      await lease.release(signal);
    });

    it("does not bring a dead owner's records to life under the next owner of the node", async () => {
      const { owner, lease } = await joined();
      const left = someInstance(owner, { service: "left-behind" });
      await lease.register(left, signal);
      await ask("PUT", `/agent/check/fail/${encodeURIComponent(`portolan:${owner.node}:${owner.run}`)}`);
      const observation = watch(backend, "left-behind");
      await eventually(observation, (now) => instancesOf(now, "left-behind")?.length === 0);
      const seen: number[] = [];
      observation.subscribe(() => seen.push(states(observation, "left-behind").length));
      const heir = backend.lease({ ...owner, engine: "NEW:DOCKER" }, 5);
      await heir.renew(signal);
      await waitFor("it to be gone", async () => (await health("left-behind")).length === 0, {
        within: 10_000,
      });
      expect(seen).toEqual([]);
      await observation.close();
      await heir.release(signal);
    });

    it("takes names that Consul's filters cannot say", async () => {
      const { owner, lease } = await joined({ node: `quo"te\\${process.pid}` });
      await lease.register(someInstance(owner, { service: "quoted" }), signal);
      expect(await lease.owned(signal)).toHaveLength(1);
      await lease.release(signal);
    });

    it("does not deregister under a name that the id no longer has", async () => {
      const { owner, lease } = await joined();
      const id = `${owner.node}:renamed`;
      await lease.register(someInstance(owner, { service: "old-name", id }), signal);
      await lease.register(someInstance(owner, { service: "new-name", id }), signal);
      await lease.deregister({ service: "old-name", id }, signal);
      expect(await lease.owned(signal)).toMatchObject([{ service: "new-name" }]);
      await lease.release(signal);
    });
  });

  describe("through a proxy", () => {
    let proxy: FaultProxy;
    let behind: Backend;
    beforeAll(async () => {
      proxy = await startFaultProxy({ upstream: { port: consul.port }, protocol: "http" });
      behind = await open(proxy.port, { wait: 1000, patience: 500 });
    });
    afterAll(async () => {
      await behind?.close();
      await proxy?.stop();
    });
    const requests = async (work: () => Promise<unknown>) => {
      proxy.resetCounts();
      await work();
      return proxy.counts().requests.map(({ method, path }) => `${method} ${path.split("?")[0]}`);
    };

    it("asks once for a renewal, once for owned, and writes once for each record", async () => {
      const { owner, lease } = await joined({}, behind);
      const instance = someInstance(owner, { service: "counted", id: "counted-1" });
      const put = "PUT /v1/agent/service/register";
      const look = "GET /v1/agent/health/service/id/counted-1";
      const register = (over: Partial<Instance>) =>
        requests(() => lease.register({ ...instance, ...over }, signal));
      const pass = `PUT /v1/agent/check/pass/${encodeURIComponent(`portolan:${owner.node}:${owner.run}`)}`;
      expect(await requests(() => lease.renew(signal))).toEqual([pass]);
      expect(await register({})).toEqual([look, put]);
      expect(await register({ tags: ["new"] })).toEqual([put]);
      expect(await register({ state: "draining" })).toEqual([look, pass, put]);
      expect(await register({})).toEqual([look, put]);
      expect(await requests(() => lease.owned(signal))).toEqual(["GET /v1/agent/services"]);
      expect(await register({ tags: ["newer"] })).toEqual([put]);
      expect(await requests(() => lease.deregister(instance, signal))).toEqual([
        "PUT /v1/agent/service/deregister/counted-1",
      ]);
      await lease.release(signal);
    });

    it("asks with one query for each service, however many observe it", async () => {
      proxy.resetCounts();
      const [one, two] = [watch(behind, "shared-query"), watch(behind, "shared-query", "shared-other")];
      await eventually(one, (now) => now.services.size === 1);
      await eventually(two, (now) => now.services.size === 2);
      const paths = proxy.counts().requests.map(({ path }) => path);
      // What waits for a change is the same query going on: only the first question has no index.
      expect(paths.filter((path) => /shared-query(?!.*index=)/.test(path))).toHaveLength(1);
      await one.close();
      await two.close();
    });

    it("ends a query that hangs, keeps the last value beside the problem, and goes on when it can", async () => {
      const { owner, lease } = await joined();
      await lease.register(someInstance(owner, { service: "hanging" }), signal);
      const observation = watch(behind, "hanging");
      const before = await eventually(observation, (now) => instancesOf(now, "hanging")?.length === 1);
      proxy.drop();
      const problem = await waitFor("the problem", () => observation.current().problem, { within: 20_000 });
      expect(problem).toMatchObject({ kind: "unreachable", error: { code: "BACKEND_UNREACHABLE" } });
      expect(observation.current()).toMatchObject({ known: true, value: before });
      await lease.register(someInstance(owner, { service: "hanging", port: 4000 }), signal);
      await proxy.pass();
      await eventually(observation, (now) => instancesOf(now, "hanging")?.[0]?.port === 4000, 50_000);
      expect(observation.current().problem).toBeUndefined();
      await observation.close();
      await lease.release(signal);
    });

    it("rejects every call by its deadline, or at once when it is cancelled", async () => {
      const { lease } = await joined({}, behind);
      proxy.drop();
      await expect(lease.renew(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
      const cancel = new AbortController();
      const owned = lease.owned(cancel.signal);
      cancel.abort();
      await expect(owned).rejects.toMatchObject({ code: "ABORTED" });
      proxy.refuse();
      await expect(lease.renew(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
      await proxy.pass();
      // A connection that was reset may be noticed only by its next use.
      const again = () => lease.renew(signal).catch(() => undefined);
      expect(await waitFor("a beat", again, { within: 20_000 })).toMatchObject({ fresh: false });
      await lease.release(signal);
    });

    it("publishes nothing while a part is out of reach, then one value for all", async () => {
      const { owner, lease } = await joined();
      const services = ["part-a", "part-b", "part-c"];
      for (const service of services) await lease.register(someInstance(owner, { service }), signal);
      const observation = watch(behind, ...services);
      await eventually(observation, (now) => services.every((name) => instancesOf(now, name)?.length === 1));
      proxy.refuse();
      await waitFor("the problem", () => observation.current().problem, { within: 20_000 });
      for (const service of services) await lease.deregister(someInstance(owner, { service }), signal);
      const sizes: number[] = [];
      observation.subscribe(() => {
        const now = observation.current();
        if (now.known) sizes.push(services.flatMap((name) => instancesOf(now.value, name) ?? []).length);
      });
      await waitFor("the catalog", async () => (await health("part-c")).length === 0, { within: 10_000 });
      await proxy.pass();
      await eventually(
        observation,
        (now) => services.every((name) => instancesOf(now, name)?.length === 0),
        50_000,
      );
      expect(sizes.filter((size) => size !== 3 && size !== 0)).toEqual([]);
      await observation.close();
      await lease.release(signal);
    });
  });

  describe("with an agent of its own", () => {
    it("says fresh once the agent restarted empty, and fills it again", async () => {
      const agent = await startConsul();
      const own = await open(agent.port, { wait: 30_000, patience: 2000 });
      const owner = someOwner();
      const lease = own.lease(owner, 5);
      const instance = someInstance(owner, { service: "wiped" });
      await lease.renew(signal);
      await lease.register(instance, signal);
      // Raises the index beyond what the next agent will have.
      for (let at = 0; at < 50; at += 1) await lease.register({ ...instance, port: 1000 + at }, signal);
      await lease.register(instance, signal);
      const observation = watch(own, "wiped");
      await eventually(observation, (now) => instancesOf(now, "wiped")?.[0]?.port === instance.port);
      await agent.kill();
      await expect(lease.renew(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
      await waitFor("the problem", () => observation.current().problem, { within: 20_000 });
      expect(states(observation, "wiped")).toEqual(["ready"]);
      await agent.wipeAndRestart();
      expect(await lease.renew(signal)).toEqual({ ttl: 5, fresh: true });
      expect(await lease.owned(signal)).toEqual([]);
      await lease.register({ ...instance, port: 5000 }, signal);
      // Well within the wait: an index of the world before is not waited for.
      await eventually(observation, (now) => instancesOf(now, "wiped")?.[0]?.port === 5000, 20_000);
      await observation.close();
      await own.close();
      await agent.stop();
    });

    it("shows everything on through a restart of the agent, even one before the first beat", async () => {
      const agent = await startConsul({ persistent: true });
      const own = await open(agent.port);
      const owner = someOwner();
      const lease = own.lease(owner, 600);
      await lease.renew(signal);
      const instances = (["ready", "draining"] as const).map((state) =>
        someInstance(owner, { service: "kept", id: `${owner.node}:${state}`, state }),
      );
      for (const instance of instances) await lease.register(instance, signal);
      const observation = watch(own, "kept");
      await eventually(observation, (now) => instancesOf(now, "kept")?.length === 2);
      const seen: unknown[] = [];
      observation.subscribe(() => seen.push(states(observation, "kept")));
      await agent.kill();
      await waitFor("the problem", () => observation.current().problem, { within: 20_000 });
      await agent.start();
      await waitFor("its end", () => !observation.current().problem, { within: 50_000 });
      expect(await lease.renew(signal)).toMatchObject({ fresh: false });
      await lease.register({ ...instances[0], id: "one-more", port: 5000 } as Instance, signal);
      await eventually(observation, (now) => instancesOf(now, "kept")?.length === 3);
      expect(seen.slice(0, -1)).toEqual(seen.slice(0, -1).map(() => ["draining", "ready"]));
      await own.close();
      await agent.stop();
    });

    it("shows everything on through a restart that outlasts the TTL, while the registrator beats again", async () => {
      const agent = await startConsul({ persistent: true });
      const own = await open(agent.port);
      const owner = someOwner();
      const lease = own.lease(owner, 1);
      await lease.renew(signal);
      await lease.register(someInstance(owner, { service: "late" }), signal);
      const observation = watch(own, "late");
      await eventually(observation, (now) => instancesOf(now, "late")?.length === 1);
      const seen: unknown[] = [];
      observation.subscribe(() => seen.push(states(observation, "late")));
      await agent.kill();
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      await agent.start();
      const isExpired = async () =>
        (await get(`${agent.url}/v1/health/checks/late`)).includes('"Status":"critical"');
      await waitFor("Consul to hold it for dead", isExpired, { within: 20_000 });
      await waitFor("the reader", () => !observation.current().problem, { within: 20_000 });
      const isAlive = async () => {
        await lease.renew(signal);
        return !(await isExpired());
      };
      await waitFor("Consul to hold it for alive", isAlive, { within: 20_000 });
      await lease.register(someInstance(owner, { service: "late", id: `${owner.node}:more` }), signal);
      await eventually(observation, (now) => instancesOf(now, "late")?.length === 2);
      expect(seen.slice(0, -1)).toEqual(seen.slice(0, -1).map(() => ["ready"]));
      // One that stays away is gone in the end.
      await eventually(observation, (now) => instancesOf(now, "late")?.length === 0, 50_000);
      await own.close();
      await agent.stop();
    });

    it("tells a missing right from an outage, and reads the token from a file or the environment", async () => {
      const file = join(tempDir("token"), "token");
      writeFileSync(file, `${token}\n`);
      const url = `consul://127.0.0.1:${consul.port}`;
      const backends = await Promise.all([
        openConsul(parseBackendUrl(url), { env: {} }),
        openConsul(parseBackendUrl(url), { env: { CONSUL_HTTP_TOKEN: token } }),
        openConsul(parseBackendUrl(`${url}?token-file=${file}`), { env: { CONSUL_HTTP_TOKEN: "wrong" } }),
        openConsul(parseBackendUrl(url), {
          env: { CONSUL_HTTP_TOKEN: "2f2504e0-4f89-41d3-9a0c-0305e82c3301" },
        }),
      ]);
      const verdicts = await Promise.all(
        backends.map((of) =>
          of
            .lease(someOwner(), 5)
            .renew(signal)
            .then(
              () => "renewed",
              ({ code }) => code,
            ),
        ),
      );
      expect(verdicts).toEqual(["BACKEND_DENIED", "renewed", "renewed", "BACKEND_DENIED"]);
      const denied = backends[3] && watch(backends[3], "any");
      expect(await waitFor("the problem", () => denied?.current().problem?.kind, { within: 10_000 })).toBe(
        "denied",
      );
      expect(denied?.current().known).toBe(false);
      await Promise.all(backends.map((of) => of.close()));
    });
  });

  it.each([
    ["consul://a:1,b:2", "one host"],
    ["consul://a/path", "no meaning"],
    ["consul://a?layout=registrator", "no layout"],
    ["consul://a?user=x", 'no "user"'],
    ["consul://a?token-file=/does/not/exist", "cannot be read"],
  ])("refuses %s", async (url, why) => {
    await expect(openConsul(parseBackendUrl(url), { env: {} })).rejects.toMatchObject({
      code: "BACKEND_URL",
      message: expect.stringContaining(why) as string,
    });
  });
});
