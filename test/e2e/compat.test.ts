// registrator's own command line against a real Docker and a real Consul: what registrator's rules give.
import { hostname } from "node:os";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import type { Instance } from "../../src/instance.ts";
import { type Expected, expected } from "../registrator/compat-expected.ts";
import { runSituations, situations } from "../registrator/compat-situations.ts";
import { type Consul, startConsul } from "../servers/consul.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { importWebImage } from "../servers/image.ts";
import { waitFor } from "../servers/wait.ts";
import { type Program, portolan, startProgram } from "./program.ts";

/** The part of `/v1/agent/services` that registrator decides. */
interface AgentService {
  readonly ID: string;
  readonly Service: string;
  readonly Address: string;
  readonly Port: number;
  readonly Tags: readonly string[];
  readonly Meta: Readonly<Record<string, string>>;
}

let host: DockerHost;
let consul: Consul;
beforeAll(async () => {
  [host, consul] = await Promise.all([startDockerHost(), startConsul()]);
  await importWebImage(host);
  await runSituations(host);
  // Eighteen containers, one after the other, so that each gets the address that was recorded.
}, 300_000);
afterAll(() => Promise.all([consul?.stop(), host?.stop()]));

const node = hostname();

/** Starts a registrator with registrator's own command line, and waits until all is registered. */
async function start(line: string): Promise<Program> {
  const program = await startProgram("registrator", line.split(" "), { DOCKER_HOST: host.dockerHost });
  await ready(program);
  return program;
}

const ready = (program: Program) =>
  waitFor("everything to be registered", async () => (await program.notReady()) === "", { within: 30_000 });

/** What registrator's rules give for all of them, with the name of this host. */
let golden: Expected["registered"];
beforeAll(async () => {
  // Which of two bindings comes first is Docker's choice, and not the same in every version.
  const bindings = '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}';
  const first = Number(await host.docker(["inspect", "--format", bindings, "one-address"]));
  golden = situations.flatMap(({ name }) =>
    expected(name).registered.map((instance) => ({
      ...instance,
      id: instance.id.replace(/^host1:/, `${node}:`),
      port: name === "one-address" ? first : instance.port,
    })),
  );
});

const inOrder = <T extends { readonly id: string }>(all: readonly T[]) =>
  [...all].sort((a, b) => (a.id < b.id ? -1 : 1));

async function services(): Promise<readonly AgentService[]> {
  const all = (await (await fetch(`${consul.url}/v1/agent/services`)).json()) as Record<string, AgentService>;
  return Object.values(all).filter(({ ID }) => !ID.startsWith("portolan:"));
}

/** Meta without what Portolan adds. */
const attributes = ({ Meta }: AgentService) =>
  Object.fromEntries(Object.entries(Meta).filter(([key]) => !key.startsWith("portolan-")));

describe("registrator -ip 10.1.2.3 -resync 30 -cleanup consul://… --compat registrator", () => {
  let program: Program;
  beforeAll(async () => {
    program = await start(
      `-ip 10.1.2.3 -resync 30 -cleanup consul://127.0.0.1:${consul.port} --compat registrator`,
    );
  });
  afterAll(() => program?.stop());

  it("registers exactly what registrator's rules give", async () => {
    const found = (await services()).map((service) => ({
      ...{ id: service.ID, service: service.Service, address: service.Address, port: service.Port },
      ...{ tags: service.Tags, meta: attributes(service) },
    }));
    const wanted = golden.map(({ id, service, address, port, tags, meta }) => ({
      ...{ id, service, address, port, tags, meta },
    }));
    expect(inOrder(found)).toEqual(inOrder(wanted));
  });

  it("gives Consul the check that the container asks for", async () => {
    const checks = (await (await fetch(`${consul.url}/v1/agent/checks`)).json()) as Record<
      string,
      { readonly ServiceID: string; readonly Type: string }
    >;
    const types = Object.values(checks).filter(({ ServiceID }) =>
      ServiceID.endsWith(":variables-and-labels:80"),
    );
    expect(types.map(({ Type }) => Type)).toContain("http");
  });

  it("takes away what has ended, and nothing else", async () => {
    const before = (await services()).map(({ ID }) => ID);
    await host.docker(["stop", "--time", "0", "compose"]);
    const gone = `${node}:compose:80`;
    await waitFor("the end", async () => !(await services()).some(({ ID }) => ID === gone), {
      within: 10_000,
    });
    const after = (await services()).map(({ ID }) => ID);
    expect(after.sort()).toEqual(before.filter((id) => id !== gone).sort());
    await host.docker(["start", "compose"]);
  });
});

describe("registrator -ip 10.1.2.3 etcd://… zookeeper://… consulkv://… --compat registrator", () => {
  let program: Program;
  const base = `/compat-${process.pid}`;
  const etcd = inject("etcd");
  const zookeeper = `zookeeper://${inject("zookeeper").address}${base}`;
  beforeAll(async () => {
    const urls = `etcd://${etcd.host}:${etcd.port}${base} ${zookeeper} consulkv://127.0.0.1:${consul.port}${base}`;
    program = await start(`-ip 10.1.2.3 -resync 30 ${urls} --compat registrator`);
  });
  afterAll(() => program?.stop());

  const keys = () =>
    Object.fromEntries(
      golden.map(({ service, id, address, port }) => [`${service}/${id}`, `${address}:${port}`]),
    );
  const decoded = (text: string) => Buffer.from(text, "base64").toString();

  it("writes registrator's keys to etcd", async () => {
    const body = JSON.stringify({ key: btoa(`${base}/`), range_end: btoa(`${base}0`) });
    const answer = await fetch(`${etcd.url}/v3/kv/range`, { method: "POST", body });
    const { kvs } = (await answer.json()) as { kvs: readonly { key: string; value: string }[] };
    const found = kvs.map(({ key, value }) => [decoded(key).slice(base.length + 1), decoded(value)]);
    expect(Object.fromEntries(found)).toEqual(keys());
  });

  it("writes registrator's keys to Consul's KV store", async () => {
    const answer = await fetch(`${consul.url}/v1/kv${base}/?recurse`);
    const all = (await answer.json()) as readonly { Key: string; Value: string }[];
    expect(Object.fromEntries(all.map(({ Key, Value }) => [Key.slice(base.length), decoded(Value)]))).toEqual(
      keys(),
    );
  });

  it("writes registrator's nodes to ZooKeeper", async () => {
    const { stdout } = await portolan(["services", "--json", `${zookeeper}?layout=registrator`]);
    const found = (JSON.parse(stdout) as readonly Instance[]).map(
      ({ service, address, port }) => `${service} ${address}:${port}`,
    );
    const wanted = golden.map(({ service, address, port }) => `${service} ${address}:${port}`);
    // A port of TCP and the same of UDP are one node.
    expect(found.sort()).toEqual([...new Set(wanted)].sort());
  });
});

describe("moving from registrator and back", () => {
  const register = (body: object) =>
    fetch(`${consul.url}/v1/agent/service/register`, { method: "PUT", body: JSON.stringify(body) });
  /** What registrator sends for an instance. */
  const upstream = ({ id, service, address, port, tags, meta }: Expected["registered"][number]) =>
    register({ ID: id, Name: service, Address: address, Port: port, Tags: tags, Meta: meta });
  const remove = (id: string) =>
    fetch(`${consul.url}/v1/agent/service/deregister/${encodeURIComponent(id)}`, { method: "PUT" });
  beforeEach(async () => {
    for (const { ID } of await services()) await remove(ID);
  });
  const passing = async (service: string) => {
    const answer = await fetch(`${consul.url}/v1/health/service/${service}?passing`);
    return ((await answer.json()) as { Service: AgentService }[]).map(({ Service }) => Service.ID);
  };

  it("takes over what registrator left without a gap, cleans up, and gives it back", async () => {
    const left = golden.filter(({ id }) => id.startsWith(`${node}:`));
    for (const instance of left) await upstream(instance);
    await register({ ID: `${node}:gone:80`, Name: "web", Address: "10.1.2.3", Port: 1 });
    await register({ ID: "elsewhere:gone:80", Name: "web", Address: "10.1.2.4", Port: 1 });

    const kept = `${node}:bridge-published:80`;
    const missing: string[] = [];
    let looking = true;
    const watch = (async () => {
      while (looking) if (!(await passing("web")).includes(kept)) missing.push(kept);
    })();
    const program = await start(
      `-ip 10.1.2.3 -resync 30 -cleanup consul://127.0.0.1:${consul.port} --compat registrator --adopt --ttl 0`,
    );
    const ids = (await services()).map(({ ID }) => ID).sort();
    expect(ids).toEqual([...golden.map(({ id }) => id), "elsewhere:gone:80"].sort());

    await program.stop();
    expect((await services()).map(({ ID }) => ID).sort()).toEqual(ids);
    for (const instance of golden) await upstream(instance);
    looking = false;
    await watch;
    expect(missing).toEqual([]);
    expect(await passing("web")).toContain(kept);
  });

  it("takes over a record under an id of its own that a container here gives, and no other", async () => {
    await register({ ID: "the-one", Name: "web", Address: "10.1.2.9", Port: 9 });
    await register({ ID: "another", Name: "web", Address: "10.1.2.9", Port: 9 });
    const url = `consul://127.0.0.1:${consul.port}`;
    const line = `-ip 10.1.2.3 ${url} --compat registrator --adopt --ttl 0`;
    const program = await startProgram("registrator", line.split(" "), { DOCKER_HOST: host.dockerHost });
    try {
      await ready(program);
      const addressOf = async (id: string) => (await services()).find(({ ID }) => ID === id)?.Address;
      expect(await addressOf("the-one")).toBe("10.1.2.3");
      expect(await addressOf("another")).toBe("10.1.2.9");
      await remove("another");
    } finally {
      await program.stop();
    }
  });
});
