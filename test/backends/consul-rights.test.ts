// What `portolan acl consul` prints is given to Consul's own command line, and is enough; each rule is needed.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openConsul } from "../../src/backends/consul/consul.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { type Consul, startConsul } from "../servers/consul.ts";
import { exec } from "../servers/exec.ts";
import { ensureInstalled } from "../servers/install.ts";
import { signal } from "./backend-stage.ts";
import { someInstance, someOwner } from "./contract/suite.ts";
import {
  type Access,
  container,
  expectClaimsDenied,
  expectDenied,
  expectToWork,
  inSync,
  linesOf,
  printed,
  registrator,
  templater,
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

/** A token with these rules alone. */
async function tokenOf(rules: string): Promise<string> {
  policies += 1;
  const name = `policy-${policies}`;
  await consulCli(["policy", "create", "-name", name, "-rules", "-"], rules);
  const token = await consulCli(["token", "create", "-policy-name", name]);
  return /^SecretID:\s*(\S+)/m.exec(token)?.[1] ?? "";
}

const urlOf = (place: string) => place.replace("HOST", `127.0.0.1:${consul.port}`);
const as = async (place: string, rules: string): Promise<Access> => ({
  url: urlOf(place),
  env: { CONSUL_HTTP_TOKEN: await tokenOf(rules) },
});
const below = async (path: string): Promise<boolean> => {
  const answer = await fetch(`${consul.url}/v1${path}`, { headers: { "x-consul-token": master } });
  return answer.ok && ((await answer.json()) as unknown[]).length > 0;
};

const services = {
  place: "consul://HOST",
  records: (service: string) => below(`/catalog/service/${service}`),
};
const keys = {
  place: "consulkv://HOST/services",
  records: (service: string) => below(`/kv/services/${service}/?keys`),
};

describe("consul: the printed rules", () => {
  it.each([services, keys])(
    "let a registrator and a templater work at $place",
    async ({ place, records }) => {
      await expectToWork({
        registrator: await as(place, await printed("consul", "registrator", urlOf(place))),
        templater: await as(place, await printed("consul", "templater", urlOf(place))),
        records,
      });
    },
  );

  it.each<[place: string, role: "registrator" | "templater", without: string, ...why: string[]]>([
    [services.place, "registrator", "service_prefix", 'service "portolan:denied'],
    [services.place, "registrator", "node_prefix", 'node_prefix "" { policy = "read" }'],
    [services.place, "templater", "service_prefix", 'service_prefix "" { policy = "read" }'],
    [services.place, "templater", "node_prefix", 'node_prefix "" { policy = "read" }'],
    [keys.place, "registrator", 'key_prefix "services/"', 'key "services/', '{ policy = "write" }'],
    [keys.place, "registrator", 'key_prefix "portolan', 'key "portolan/nodes/', '{ policy = "write" }'],
    [keys.place, "registrator", "session_prefix", 'session_prefix "" { policy = "write" }'],
    [keys.place, "templater", 'key_prefix "services/"', 'key_prefix "services/" { policy = "read" }'],
  ])("at %s for a %s need %s", async (place, role, without, ...why) => {
    const lines = linesOf(await printed("consul", role, urlOf(place)));
    const rest = lines.filter((line) => !line.startsWith(without));
    expect(rest).toHaveLength(lines.length - 1);
    const access = await as(place, rest.join("\n"));
    const name = `denied-${policies}`;
    const web = await container(name);
    const denied =
      role === "registrator" ? await registrator(access, name) : (await templater(access, name)).program;
    await expectDenied(denied, "`portolan acl consul` prints the rules", ...why).finally(() => web.remove());
  });

  it.each([services.place, keys.place])(
    "with --node let a registrator claim this host only at %s",
    async (place) => {
      const access = await as(place, await printed("consul", "registrator", "--node", "host1", urlOf(place)));
      await expectDenied(
        await registrator(access, "host2"),
        "host2",
        "`portolan acl consul` prints the rules",
      );
      const web = await container("host1");
      const own = await registrator(access, "host1");
      await inSync(own).finally(() => Promise.all([own.stop(), web.remove()]));
    },
  );

  it("name what may only be read and has to be written", async () => {
    const lines = linesOf(await printed("consul", "templater", urlOf(services.place)));
    const denied = await registrator(await as(services.place, lines.join("\n")), "reader");
    await expectDenied(denied, "Missing service:write on", "`portolan acl consul` prints the rules");
  });

  it("at consulkv:// for a templater need the claims of the nodes", async () => {
    const { place } = keys;
    await expectClaimsDenied({
      registrator: await as(place, await printed("consul", "registrator", urlOf(place))),
      templater: await as(place, 'key_prefix "services/" { policy = "read" }'),
      why: ['key_prefix "portolan/nodes/" { policy = "read" }', "`portolan acl consul` prints the rules"],
    });
  });

  it("may name the services, where they are known", async () => {
    const owner = someOwner();
    const rules = [
      `service "portolan:${owner.node}" { policy = "write" }`,
      'service "only-mine" { policy = "write" }',
      'node_prefix "" { policy = "read" }',
    ].join("\n");
    const { url, env = {} } = await as(services.place, rules);
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
