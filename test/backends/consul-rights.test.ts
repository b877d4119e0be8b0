// What `portolan acl consul` prints is given to Consul's own command line, and is enough; each rule is needed.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openConsul } from "../../src/backends/consul/consul.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { runHere } from "../commands/run-here.ts";
import { type Consul, startConsul } from "../servers/consul.ts";
import { exec } from "../servers/exec.ts";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";
import { signal } from "./backend-stage.ts";
import { someInstance, someOwner } from "./contract/suite.ts";
import {
  type Access,
  container,
  expectComplaint,
  expectDenied,
  expectRefused,
  expectRefusedAllBut,
  expectToWork,
  inSync,
  printed,
  type Role,
  registrator,
  roles,
  rulesAtNeed,
  rulesOf,
  templater,
  work,
} from "./rights-stage.ts";

const master = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

let consul: Consul;
let program: string;
let policies = 0;
beforeAll(async () => {
  program = (await ensureInstalled(["consul"])).consul.consul;
  const acl = `acl {\n  enabled = true\n  default_policy = "deny"\n  tokens {\n    master = "${master}"\n  }\n}`;
  consul = await startConsul({ hcl: acl, token: master });
});
afterAll(() => consul?.stop());

const consulCli = (args: readonly string[], input?: string) =>
  exec(program, ["acl", ...args], {
    env: { CONSUL_HTTP_ADDR: consul.url, CONSUL_HTTP_TOKEN: master },
    ...(input !== undefined && { input }),
  });

const urlOf = (place: string) => place.replace("HOST", `127.0.0.1:${consul.port}`);
const printedFor = (place: string, role: Role, ...args: readonly string[]) =>
  printed("consul", role, ...args, urlOf(place));
/** Credentials that have these rules alone. */
const as = async (place: string, rules: string): Promise<Access> => {
  policies += 1;
  const name = `policy-${policies}`;
  await consulCli(["policy", "create", "-name", name, "-rules", "-"], rules);
  const token = await consulCli(["token", "create", "-policy-name", name]);
  const CONSUL_HTTP_TOKEN = /^SecretID:\s*(\S+)/m.exec(token)?.[1] ?? "";
  return { url: urlOf(place), env: { CONSUL_HTTP_TOKEN } };
};
const asRole = async (place: string, role: Role) => as(place, await printedFor(place, role));
const without = (rules: readonly string[], begin: string) => {
  const rest = rules.filter((rule) => !rule.startsWith(begin));
  expect(rest, begin).toHaveLength(rules.length - 1);
  return rest.join("\n");
};
const below = async (path: string): Promise<boolean> => {
  const answer = await fetch(`${consul.url}/v1${path}`, { headers: { "x-consul-token": master } });
  return answer.ok && ((await answer.json()) as unknown[]).length > 0;
};

const services = "consul://HOST";
const keys = "consulkv://HOST/services";
const seeRules = "`portolan acl consul` prints the rules";

describe("consul: the printed rules", () => {
  it.each([
    { place: services, records: (service: string) => below(`/catalog/service/${service}`) },
    { place: keys, records: (service: string) => below(`/kv/services/${service}/?keys`) },
  ])("let a registrator and a templater work at $place", async ({ place, records }) => {
    await expectToWork({
      registrator: await asRole(place, "registrator"),
      templater: await asRole(place, "templater"),
      ...(place === services && { operator: await asRole(place, "operator") }),
      records,
    });
  });

  it.each([services, keys].flatMap((place) => roles.map((role) => [place, role] as const)))(
    "at %s are enough for %ss, and for nothing else",
    async (place, role) => {
      const access = await asRole(place, role);
      await work(role, access);
      await expectRefusedAllBut([role], access);
    },
  );

  it.each<[place: string, role: Role, begin: string, ...why: string[]]>([
    [services, "registrator", "service_prefix", 'service "portolan:'],
    [services, "registrator", "node_prefix", 'node_prefix "" { policy = "read" }'],
    [services, "registrator", "key_prefix", 'key_prefix "portolan/overrides/" { policy = "read" }'],
    [services, "templater", "service_prefix", 'service_prefix "" { policy = "read" }'],
    [services, "templater", "node_prefix", 'node_prefix "" { policy = "read" }'],
    [services, "templater", "session_prefix", 'session_prefix "" { policy = "write" }'],
    [services, "templater", "key_prefix", 'key "portolan/templaters/', '{ policy = "write" }'],
    [services, "operator", "service_prefix", 'service_prefix "" { policy = "read" }'],
    [services, "operator", "node_prefix", 'node_prefix "" { policy = "read" }'],
    [services, "operator", 'key_prefix "portolan/overrides/"', 'key_prefix "portolan/overrides/"'],
    [services, "operator", 'key_prefix "portolan/templaters/"', 'key_prefix "portolan/templaters/"'],
    [keys, "registrator", 'key_prefix "services/"', 'key "services/', '{ policy = "write" }'],
    [keys, "registrator", 'key_prefix "portolan/nodes/"', 'key "portolan/nodes/', '{ policy = "write" }'],
    [keys, "registrator", "session_prefix", 'session_prefix "" { policy = "write" }'],
    [keys, "templater", 'key_prefix "services/"', 'key_prefix "services/" { policy = "read" }'],
    [keys, "templater", 'key_prefix "portolan/nodes/"', 'key_prefix "portolan/nodes/" { policy = "read" }'],
  ])("at %s for %ss need %s", async (place, role, begin, ...why) => {
    const rules = rulesOf(await printedFor(place, role));
    await expectRefused(role, await as(place, without(rules, begin)), ...why, seeRules);
  });

  it.each([services, keys])(
    "at %s say what elections, keys, turns and healing need besides",
    async (place) => {
      for (const [role, job] of [
        ["registrator", "elections"],
        ["templater", "keys"],
        ["templater", "elections"],
        ["operator", "healing"],
      ] as const) {
        const text = await printedFor(place, role);
        const rules = [...rulesOf(text), ...rulesAtNeed(text)];
        const access = await as(place, rules.join("\n"));
        await work(role, access);
        await work(job, access);
      }
    },
  );

  it("are named by each program that lacks one", async () => {
    const rules = Object.fromEntries(
      await Promise.all(
        roles.map(async (role) => [role, rulesOf(await printedFor(services, role))] as const),
      ),
    ) as Record<Role, readonly string[]>;
    const lacking = (role: Role, begin: string) => as(services, without(rules[role], begin));
    const web = await container("lacking");
    const [writer, reader] = [
      await registrator(await lacking("registrator", "key_prefix"), "lacking"),
      await templater(await lacking("templater", "key_prefix"), "lacking"),
    ];
    try {
      const overrides = 'key_prefix "portolan/overrides/" { policy = "read" }';
      await Promise.all([
        expectComplaint(writer, "overrides are not reached", overrides, seeRules),
        expectComplaint(reader.program, "is not told to others", 'key "portolan/templaters/', seeRules),
        inSync(writer),
        inSync(reader.program),
        expectDenied(
          await registrator(await lacking("registrator", "service_prefix"), "lacking-more"),
          'service "portolan:lacking-more" { policy = "read" }',
          seeRules,
        ),
        expectDenied(
          (await templater(await lacking("templater", "service_prefix"), "lacking-more")).program,
          'service_prefix "" { policy = "read" }',
          seeRules,
        ),
      ]);
      const { url, env } = await lacking("operator", 'key_prefix "portolan/overrides/"');
      const id = `lacking:${web.name}:80`;
      const { code, stderr } = await runHere(["tag", id, "+by-hand", url], tempDir("lacking"), env);
      expect(stderr).toContain("BACKEND_DENIED");
      expect(stderr).toContain('key_prefix "portolan/overrides/" { policy = "read" }');
      expect(code).toBe(1);
    } finally {
      await Promise.all([web.remove(), writer.stop(), reader.program.stop()]);
    }
  });

  it("name what may be read, and has to be written", async () => {
    await expectRefused(
      "registrator",
      await asRole(services, "templater"),
      "Missing service:write on",
      seeRules,
    );
  });

  it.each([services, keys])("with --node let a registrator claim this host only at %s", async (place) => {
    const access = await as(place, await printedFor(place, "registrator", "--node", "host1"));
    await work("registrator", access, "host1");
    await expect(work("registrator", access, "host2")).rejects.toMatchObject({
      code: "BACKEND_DENIED",
      message: expect.stringMatching(/host2.*`portolan acl consul` prints the rules/) as string,
    });
  });

  it("may name the services, where they are known", async () => {
    const owner = someOwner();
    const rules = [
      `service "portolan:${owner.node}" { policy = "write" }`,
      'service "only-mine" { policy = "write" }',
      'node_prefix "" { policy = "read" }',
    ].join("\n");
    const { url, env = {} } = await as(services, rules);
    const backend = await openConsul(parseBackendUrl(url), { env });
    const lease = backend.lease(owner, 5);
    await lease.renew(signal);
    const instance = someInstance(owner, { service: "only-mine", checks: { http: "/" } });
    await lease.register(instance, signal);
    expect(await lease.owned(signal)).toMatchObject([{ service: "only-mine", checks: { http: "/" } }]);
    await expect(lease.register(someInstance(owner, { service: "not-mine" }), signal)).rejects.toMatchObject({
      code: "BACKEND_DENIED",
    });
    await lease.release(signal);
    await backend.close();
  });
});
