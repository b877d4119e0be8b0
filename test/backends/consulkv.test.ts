import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Backend, instancesOf, ownerText } from "../../src/backends/backend.ts";
import { createPermits } from "../../src/backends/consul/permits.ts";
import { openConsulkv } from "../../src/backends/consulkv/consulkv.ts";
import { registratorLayout } from "../../src/backends/layouts/registrator.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { encodeInstance } from "../../src/instance.ts";
import { type Consul, startConsul } from "../servers/consul.ts";
import { freePort } from "../servers/ports.ts";
import { waitFor } from "../servers/wait.ts";
import { expectNewWorld, expectUnknown, looksAt, signal } from "./backend-stage.ts";
import { contractSuite, eventually, someInstance, someOwner } from "./contract/suite.ts";
import { openGate } from "./gate.ts";
import { listedSuite } from "./layouts-suite.ts";

const token = "11111111-1111-1111-1111-111111111111";
/** Not the run's shared agent: these tests take rights and everything else away. */
let server: Consul;
beforeAll(async () => {
  const hcl = `acl {\n  enabled = true\n  default_policy = "deny"\n  tokens {\n    master = "${token}"\n  }\n}`;
  server = await startConsul({ hcl, token });
});
afterAll(() => server?.stop());

const open = (url: string, CONSUL_HTTP_TOKEN = token): Promise<Backend> =>
  openConsulkv(parseBackendUrl(url), { env: { CONSUL_HTTP_TOKEN } });
let worlds = 0;
const prefix = () => {
  worlds += 1;
  return `kv-${process.pid}-${worlds}/services`;
};
interface Kv {
  readonly Value: string | null;
  readonly Session?: string;
}

/** Consul hangs up on who has more than 200 connections. */
const permitted = createPermits(32);
/** Consul's HTTP API, around the backend. */
const api = async (method: string, path: string, body?: string) => {
  const url = `${server.url}/v1/${path}`;
  const headers = { "x-consul-token": token };
  const answer = await permitted(() => fetch(url, { method, headers, ...(body !== undefined && { body }) }));
  if (!answer.ok && answer.status !== 404)
    throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 404 ? undefined : ((await answer.json()) as unknown);
};
/** A key of nobody's: a mere PUT would leave it to the session that holds it. */
const put = async (key: string, text: string) => {
  await api("DELETE", `kv/${key}`);
  await api("PUT", `kv/${key}`, text);
};
const get = async (key: string) => {
  const [entry] = ((await api("GET", `kv/${key}`)) ?? []) as Kv[];
  return entry && { text: Buffer.from(entry.Value ?? "", "base64").toString(), session: entry.Session };
};
const keysBelow = async (path: string) => ((await api("GET", `kv/${path}?keys`)) ?? []) as string[];

const anywhere = registratorLayout("", "");
contractSuite({
  name: "consulkv:",
  ttl: 10,
  shown: (instance) => anywhere.read(anywhere.keyOf(instance), anywhere.textOf(instance) ?? ""),
  skips: { states: "only ready instances stand there" },
  async start() {
    const path = prefix();
    const gate = await openGate(server.port);
    const url = `consulkv://127.0.0.1:${gate.port}/${path}`;
    return {
      open: () => open(url),
      cut: async () => gate.cut(),
      heal: async () => gate.open(),
      wipe: async () => void (await api("DELETE", "kv/?recurse")),
      openUnreachable: async () => open(`consulkv://127.0.0.1:${await freePort()}/${path}`),
      async openDenied(key) {
        await put(key, "x");
        return open(url, "");
      },
      openMortal: async () => ({ backend: await open(url), die: async () => {} }),
      plant: ({ service, id, address, port }) => put(`${path}/${service}/${id}`, `${address}:${port}`),
      // Without the list, nobody knows whose its keys were: who removes it removes them.
      async unclaim(name) {
        const node = `portolan/nodes/${name}`;
        const { keys } = JSON.parse((await get(node))?.text ?? "{}") as { keys: string[] };
        for (const key of [node, ...keys]) await api("DELETE", `kv/${key}`);
      },
      close: () => gate.close(),
    };
  },
});

listedSuite({
  name: "consulkv:",
  ttl: 30,
  async start() {
    const path = prefix();
    return {
      open: () => open(`consulkv://127.0.0.1:${server.port}/${path}`),
      keyOf: ({ service, id }) => `${path}/${service}/${id}`,
      put,
      read: async (key) => (await get(key))?.text,
      readNode: async (node) => (await get(`portolan/nodes/${node}`))?.text,
    };
  },
});

describe("consulkv:", () => {
  let path: string;
  let backend: Backend;
  beforeAll(async () => {
    path = prefix();
    backend = await open(`consulkv://127.0.0.1:${server.port}/${path}`);
  });
  afterAll(() => backend.close());

  it("keeps registrator's keys, all of one session that deletes them at its end", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 15);
    // Consul ends a silent session after up to twice its time to live.
    expect(await lease.renew(signal)).toEqual({ ttl: 10, fresh: true });
    const instances = [
      someInstance(owner, { id: `${owner.node}:web-1:80` }),
      someInstance(owner, { service: "a b", id: `${owner.node}:x:53:udp`, address: "fd00::5", port: 53 }),
    ];
    for (const instance of instances) await lease.register(instance, signal);
    const node = await get(`portolan/nodes/${owner.node}`);
    const [key, other] = [`${path}/web/${owner.node}:web-1:80`, `${path}/a%20b/${owner.node}:x:53:udp`];
    expect(await keysBelow(path)).toEqual([other, key]);
    expect(await get(key)).toEqual({ text: "10.0.0.5:32768", session: node?.session });
    expect(await get(other.replace("%", "%25"))).toEqual({ text: "[fd00::5]:53", session: node?.session });
    expect(JSON.parse(node?.text ?? "")).toEqual({
      owner: ownerText(owner),
      run: owner.run,
      keys: [other, key],
      records: instances
        .map(encodeInstance)
        .sort()
        .map((text) => JSON.parse(text)),
    });
    const [session] = (await api("GET", `session/info/${node?.session}`)) as object[];
    expect(session).toMatchObject({
      TTL: "10s",
      Behavior: "delete",
      LockDelay: 0,
      Name: `portolan:${owner.node}`,
    });
    await api("PUT", `session/destroy/${node?.session}`);
    await expect(lease.register(instances[0] ?? someInstance(owner), signal)).rejects.toMatchObject({
      code: "LEASE_LOST",
    });
    expect(await keysBelow(path)).toEqual([]);
    expect(await lease.renew(signal)).toEqual({ ttl: 10, fresh: true });
    expect(await lease.owned(signal)).toEqual([]);
    await lease.release(signal);
    expect(await get(`portolan/nodes/${owner.node}`)).toBeUndefined();
  });

  it("holds more instances than one transaction, and hands all of them over", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 30);
    await lease.renew(signal);
    const instances = Array.from({ length: 130 }, (_, n) =>
      someInstance(owner, { service: "many", id: `${owner.node}:c${n}:80`, port: 1000 + n }),
    );
    await Promise.all(instances.map((instance) => lease.register(instance, signal)));
    expect(await keysBelow(`${path}/many`)).toHaveLength(130);
    const next = backend.lease({ ...owner, run: "next" }, 30);
    await next.renew(signal);
    expect(new Set((await next.owned(signal)).map(encodeInstance))).toEqual(
      new Set(instances.map(encodeInstance)),
    );
    const { session } = (await get(`portolan/nodes/${owner.node}`)) ?? {};
    const sessions = await Promise.all(
      instances.map(async ({ id }) => (await get(`${path}/many/${id}`))?.session),
    );
    expect(new Set(sessions)).toEqual(new Set([session]));
    await expect(lease.renew(signal)).rejects.toMatchObject({ code: "SUPERSEDED" });
    await next.release(signal);
    expect(await keysBelow(`${path}/many`)).toEqual([]);
  });

  it("takes a deleted claim anew, and keeps what it holds", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 30);
    await lease.renew(signal);
    const instance = someInstance(owner, { service: "by-hand" });
    await lease.register(instance, signal);
    await api("DELETE", `kv/portolan/nodes/${owner.node}`);
    await expect(lease.register(instance, signal)).rejects.toMatchObject({ code: "LEASE_LOST" });
    expect(await lease.renew(signal)).toMatchObject({ fresh: true });
    expect((await lease.owned(signal)).map(encodeInstance)).toEqual([encodeInstance(instance)]);
    await lease.release(signal);
  });

  it("shows what stands beside garbage, and nothing of another prefix", async () => {
    await put(`${path}/mixed/host1:web-1:80`, "10.0.0.5:80");
    await put(`${path}/mixed/broken`, "nothing");
    await put(`${path}-more/mixed/x`, "10.0.0.5:81");
    const observation = backend.observe({ services: "all" });
    const seen = await eventually(observation, (s) => instancesOf(s, "mixed")?.length === 1);
    expect(instancesOf(seen, "mixed")?.[0]).toMatchObject({ id: "host1:web-1:80", node: "host1", port: 80 });
    expect([...seen.invalid.keys()]).toEqual([`${path}/mixed/broken`]);
    await api("DELETE", `kv/${path}/mixed?recurse`);
    await eventually(observation, (s) => s.services.size === 0);
    await observation.close();
  });

  it("refuses a URL without a prefix of its own, and a layout that it does not have", async () => {
    for (const rest of ["127.0.0.1", "127.0.0.1/portolan", "127.0.0.1/x?layout=portolan"]) {
      await expect(open(`consulkv://${rest}`)).rejects.toMatchObject({ code: "BACKEND_URL" });
    }
    for (const rest of ["/run/consul.sock", "/run/consul.sock:/"]) {
      await expect(open(`consulkv-unix://${rest}`)).rejects.toMatchObject({ code: "BACKEND_URL" });
    }
  });

  it("refuses a second prefix of one host, and says why", async () => {
    const owner = someOwner();
    const lease = backend.lease(owner, 30);
    await lease.renew(signal);
    const second = await open(`consulkv://127.0.0.1:${server.port}/${prefix()}`);
    await expect(second.lease(owner, 30).renew(signal)).rejects.toMatchObject({
      code: "NODE_TAKEN",
      message: expect.stringContaining("below another prefix") as string,
    });
    expect(await lease.renew(signal)).toMatchObject({ fresh: false });
    await second.close();
    await lease.release(signal);
  });

  it("is unknown, not empty, while no server answers", async () => {
    await expectUnknown(await open(`consulkv://127.0.0.1:${await freePort()}/services`));
  });

  it("makes one session, however often it may not claim the node", async () => {
    await api(
      "PUT",
      "acl/policy",
      JSON.stringify({
        Name: "half",
        Rules: 'key_prefix "" { policy = "read" } session_prefix "" { policy = "write" }',
      }),
    );
    const made = await api("PUT", "acl/token", JSON.stringify({ Policies: [{ Name: "half" }] }));
    const half = await open(
      `consulkv://127.0.0.1:${server.port}/${path}`,
      (made as { readonly SecretID: string }).SecretID,
    );
    const owner = someOwner();
    const lease = half.lease(owner, 30);
    for (let at = 0; at < 3; at += 1) {
      await expect(lease.renew(signal)).rejects.toMatchObject({ code: "BACKEND_DENIED" });
    }
    const sessions = (await api("GET", "session/list")) as readonly { readonly Name: string }[];
    expect(sessions.filter(({ Name }) => Name === `portolan:${owner.node}`)).toHaveLength(1);
    await half.close();
  });

  it("keeps what it knows while Consul is away, and takes a wiped one for a new world", async () => {
    const timing = { wait: 30_000, patience: 5_000, grace: 2_000 };
    const url = parseBackendUrl(`consulkv://127.0.0.1:${server.port}/services`);
    const backend = await openConsulkv(url, { env: { CONSUL_HTTP_TOKEN: token } }, timing);
    const owner = someOwner();
    const lease = backend.lease(owner, 60);
    const instance = someInstance(owner, { service: "kept" });
    await lease.renew(signal);
    await lease.register(instance, signal);
    const observation = backend.observe({ services: "all" });
    const { seen, problem, kept } = looksAt(() => observation);
    await seen("kept");
    server.pause();
    observation.refresh();
    await expect(lease.renew(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
    await problem("unreachable");
    expect(kept()).toEqual(["kept"]);
    server.resume();
    await problem(undefined);
    const renewed = () => waitFor("a renewal", () => lease.renew(signal), { within: 50_000, every: 200 });
    expect(await renewed()).toMatchObject({ fresh: false });
    // A fresh Consul answers before it can take a session.
    await expectNewWorld(observation, () => server.wipeAndRestart(), lease, renewed, instance);
    await observation.close();
    await backend.close();
  });
});
