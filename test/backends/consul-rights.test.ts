// The rights that docs/backends/consul.md names are enough, and without them nothing is taken for empty.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { instancesOf } from "../../src/backends/backend.ts";
import { openConsul } from "../../src/backends/consul.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { type Consul, startConsul } from "../servers/consul.ts";
import { eventually, someInstance, someOwner } from "./contract/suite.ts";

const signal = new AbortController().signal;
const master = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

let consul: Consul;
beforeAll(async () => {
  const acl = `acl {\n  enabled = true\n  default_policy = "deny"\n  tokens {\n    master = "${master}"\n  }\n}`;
  consul = await startConsul({ hcl: acl, token: master });
});
afterAll(() => consul?.stop());

/** The rules of a row in the page's table of rights. */
function documented(who: "registrator" | "templater"): string {
  const page = readFileSync(join(import.meta.dirname, "../../docs/backends/consul.md"), "utf8");
  const row = page.split("\n").find((line) => line.startsWith(`| ${who} `)) ?? "";
  return [...row.matchAll(/`([^`]+)`/g)].map(([, rule]) => rule).join("\n");
}

async function tokenOf(name: string, rules: string): Promise<string> {
  const put = async (path: string, body: unknown) => {
    const headers = { "x-consul-token": master };
    const answer = await fetch(`${consul.url}/v1${path}`, {
      method: "PUT",
      headers,
      body: JSON.stringify(body),
    });
    expect(answer.status, await answer.clone().text()).toBe(200);
    return (await answer.json()) as { readonly SecretID: string };
  };
  await put("/acl/policy", { Name: name, Rules: rules });
  return (await put("/acl/token", { Policies: [{ Name: name }] })).SecretID;
}

const as = (token: string) =>
  openConsul(parseBackendUrl(`consul://127.0.0.1:${consul.port}`), { env: { CONSUL_HTTP_TOKEN: token } });

it("lets a registrator and a templater work", async () => {
  const writer = await as(await tokenOf("registrator", documented("registrator")));
  const reader = await as(await tokenOf("templater", documented("templater")));
  const owner = someOwner();
  const lease = writer.lease(owner, 5, { adopt: () => true });
  const instance = someInstance(owner, { service: "rights", checks: { ttl: "30s", "2_http": "/" } });
  await lease.renew(signal);
  await lease.register({ ...instance, state: "draining" }, signal);
  await lease.register({ ...instance, checks: { ttl: "30s" } }, signal);
  await lease.renew(signal);
  expect(await lease.owned(signal)).toHaveLength(1);
  const observation = reader.observe({ services: "all" });
  await eventually(observation, (now) => instancesOf(now, "rights")?.[0]?.state === "ready");
  await lease.deregister(instance, signal);
  await eventually(observation, (now) => instancesOf(now, "rights")?.length === 0);
  await lease.release(signal);
  await writer.close();
  await reader.close();
});

it("lets a registrator work that may write nothing but its own", async () => {
  const owner = someOwner();
  const rules = [
    `service "portolan:${owner.node}" { policy = "write" }`,
    'service "only-mine" { policy = "write" }',
    'node_prefix "" { policy = "read" }',
  ].join("\n");
  const backend = await as(await tokenOf("own", rules));
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
