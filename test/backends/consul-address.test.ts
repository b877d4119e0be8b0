import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Backend, instancesOf } from "../../src/backends/backend.ts";
import { consulAddress } from "../../src/backends/consul/address.ts";
import { openConsul } from "../../src/backends/consul/consul.ts";
import { openBackend, schemes } from "../../src/backends/index.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { type Authority, type Certificate, createAuthority } from "../servers/certificates.ts";
import { type Consul, startConsul } from "../servers/consul.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { eventually, someInstance, someOwner } from "./contract/suite.ts";

type Environment = Record<string, string>;
const signal = new AbortController().signal;
const addressOf = (url: string, env: Environment = {}) => consulAddress(parseBackendUrl(url), { env });

describe("the address of Consul's agent", () => {
  it.each<[string, Environment, object]>([
    ["consul:", {}, { host: "127.0.0.1", port: 8500, tls: undefined }],
    ["consul://h", {}, { host: "h", port: 8500 }],
    ["consul://[::1]:1", {}, { host: "::1", port: 1 }],
    ["consul+tls://h", {}, { host: "h", port: 8501, tls: { verify: true, trusted: "the system's CAs" } }],
    ["consul-tls://h:1", {}, { host: "h", port: 1, tls: { verify: true } }],
    ["consul+unix:///run/c.sock", {}, { socket: "/run/c.sock", tls: undefined }],
    ["consul-unix:///run/c.sock", {}, { socket: "/run/c.sock" }],
    ["consul:", { CONSUL_HTTP_ADDR: "a:1" }, { host: "a", port: 1, tls: undefined }],
    ["consul:", { CONSUL_HTTP_ADDR: "http://[::1]:1" }, { host: "::1", port: 1, tls: undefined }],
    ["consul:", { CONSUL_HTTP_ADDR: "https://a" }, { host: "a", port: 8501, tls: {} }],
    ["consul:", { CONSUL_HTTP_ADDR: "unix:///run/c.sock" }, { socket: "/run/c.sock" }],
    ["consul:", { CONSUL_HTTP_ADDR: "a:1", CONSUL_HTTP_SSL: "true" }, { host: "a", port: 1, tls: {} }],
    ["consul+tls:", { CONSUL_HTTP_ADDR: "a:1" }, { host: "a", port: 1, tls: {} }],
    ["consul://h:2", { CONSUL_HTTP_ADDR: "https://a:1" }, { host: "h", port: 2, tls: undefined }],
    ["consul://h", { CONSUL_HTTP_SSL: "true" }, { host: "h", port: 8500, tls: undefined }],
    [
      "consul+tls://h",
      { CONSUL_HTTP_SSL_VERIFY: "false", CONSUL_TLS_SERVER_NAME: "server.dc1.consul" },
      { tls: { verify: false, serverName: "server.dc1.consul" } },
    ],
    ["consul://h?namespace=n&partition=p", { CONSUL_NAMESPACE: "x" }, { namespace: "n", partition: "p" }],
    ["consul://h", { CONSUL_NAMESPACE: "n", CONSUL_PARTITION: "p" }, { namespace: "n", partition: "p" }],
  ])("%s with %j is %j", (url, env, address) => {
    expect(addressOf(url, env)).toMatchObject(address);
  });

  it.each<[string, Environment, string]>([
    ["consul://a:1,b:2", {}, "one host"],
    ["consul://a/path", {}, "no meaning"],
    ["consul+unix://host/x", {}, "write the socket's path"],
    ["consul+unix:", {}, "write the socket's path"],
    ["consul://a?ca=/x", {}, "consul+tls://"],
    ["consul+tls://a?ca=/does/not/exist", {}, "the CA file cannot be read"],
    ["consul+tls://a", { CONSUL_CACERT: "/does/not/exist" }, "the CA file cannot be read"],
    ["consul+tls://a?cert=/x", {}, "both ?cert= and ?key="],
    ["consul://a", { CONSUL_HTTP_TOKEN_FILE: "/does/not/exist" }, "the token file cannot be read"],
    ["consul:", { CONSUL_HTTP_ADDR: "ftp://a" }, "CONSUL_HTTP_ADDR"],
    ["consul:", { CONSUL_HTTP_ADDR: "a:1,b:2" }, "CONSUL_HTTP_ADDR"],
  ])("%s with %j is refused", (url, env, why) => {
    expect(() => addressOf(url, env)).toThrow(why);
  });

  it("takes the token from the URL's file, the environment's file or the environment", async () => {
    const dir = tempDir("token");
    const [one, two] = [join(dir, "one"), join(dir, "two")];
    writeFileSync(one, "one\n");
    writeFileSync(two, "two");
    const env = { CONSUL_HTTP_TOKEN: "three", CONSUL_HTTP_TOKEN_FILE: two };
    expect(await addressOf(`consul:?token-file=${one}`, env).token?.()).toBe("one");
    expect(await addressOf("consul:", env).token?.()).toBe("two");
    expect(await addressOf("consul:", { CONSUL_HTTP_TOKEN: "three" }).token?.()).toBe("three");
    expect(await addressOf("consul:").token?.()).toBeUndefined();
  });

  it("is that of every scheme", () => {
    expect(schemes).toEqual(
      expect.arrayContaining(["consul", "consul+tls", "consul+unix", "consul-tls", "consul-unix"]),
    );
  });
});

it("says the namespace and the partition with every request", async () => {
  const seen: string[] = [];
  const server = createServer((request, answer) => {
    seen.push(`${request.method} ${request.url}`);
    answer.writeHead(request.url?.includes("/agent/health/") ? 404 : 200, {
      "content-type": "application/json",
      "x-consul-index": "1",
    });
    answer.end(/\/health\/service\/|\/acl\//.test(request.url ?? "") ? "[]" : "{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const backend = await openBackend(`consul://127.0.0.1:${port}?namespace=team%20a&partition=p`, { env: {} });
  const lease = backend.lease({ node: "h1", engine: "E", run: "r" }, 15);
  await lease.renew(signal);
  await lease.renew(signal);
  const instance = someInstance({ node: "h1", engine: "E", run: "r" }, { id: "i" });
  await lease.register({ ...instance, state: "draining", checks: { ttl: "30s" } }, signal);
  await lease.deregister({ service: "web", id: "i" }, signal);
  await expect(lease.owned(signal)).rejects.toMatchObject({ code: "LEASE_LOST" });
  const where = "ns=team%20a&partition=p";
  expect(seen.slice(0, 5).sort()).toEqual([
    `GET /v1/agent/health/service/id/portolan%3Ah1?${where}`,
    `GET /v1/agent/self?${where}`,
    expect.stringMatching(/^GET \/v1\/agent\/services\?filter=.*&ns=team%20a&partition=p$/) as string,
    `GET /v1/health/service/portolan%3Ah1?${where}`,
    `POST /v1/internal/acl/authorize?${where}`,
  ]);
  expect(seen.slice(5)).toEqual([
    `PUT /v1/agent/service/register?replace-existing-checks=true&${where}`,
    `PUT /v1/agent/check/pass/portolan%3Ah1%3Ar?${where}`,
    `PUT /v1/agent/check/pass/portolan%3Ah1%3Ar?${where}`,
    `GET /v1/agent/health/service/id/i?${where}`,
    `PUT /v1/agent/check/pass/portolan%3Ah1%3Ar?${where}`,
    `PUT /v1/agent/service/register?${where}`,
    `PUT /v1/agent/check/update/portolan-check%3Ai%3Attl?${where}`,
    `PUT /v1/agent/service/deregister/i?${where}`,
    `GET /v1/agent/services?${where}`,
  ]);

  // What a reader asks, of services and of keys.
  const kv = await openBackend(`consulkv://127.0.0.1:${port}/x?namespace=team%20a&partition=p`, { env: {} });
  const observations = [
    backend.observe({ services: new Set(["web"]) }),
    backend.observe({ services: "all" }),
    kv.observe({ services: "all" }),
  ];
  const read = ["/v1/health/service/web", "/v1/catalog/services", "/v1/kv/x%2F"];
  const hasAsked = (path: string) => seen.some((line) => line.includes(path) && line.includes("index=1"));
  await waitFor("the reads", () => read.every(hasAsked), { within: 20_000 });
  expect(seen.filter((line) => !line.endsWith(where))).toEqual([]);
  for (const observation of observations) await observation.close();
  await kv.close();
  await backend.close();
  server.closeAllConnections();
  server.close();
});

describe("a real agent", () => {
  let consul: Consul;
  let httpsPort: number;
  let authority: Authority;
  let other: Authority;
  let client: Certificate;
  let strangers: Certificate;
  const socket = join(tempDir("socket"), "c.sock");
  beforeAll(async () => {
    [authority, other] = await Promise.all([createAuthority("right"), createAuthority("wrong")]);
    const server = await authority.sign("server", ["127.0.0.1", "server.dc1.consul"]);
    [client, strangers] = await Promise.all([authority.sign("client"), other.sign("client")]);
    httpsPort = await freePort();
    const hcl = [
      `ports {\n  https = ${httpsPort}\n}`,
      `addresses {\n  http = "127.0.0.1 unix://${socket}"\n}`,
      `ca_file = "${authority.ca}"`,
      `cert_file = "${server.cert}"`,
      `key_file = "${server.key}"`,
      "verify_incoming_https = true",
    ].join("\n");
    consul = await startConsul({ hcl });
  });
  afterAll(() => consul?.stop());
  const opened: Backend[] = [];
  afterEach(async () => {
    for (const backend of opened.splice(0)) await backend.close();
  });
  const open = async (url: string, env: Environment = {}) => {
    const backend = await openBackend(url, { env });
    opened.push(backend);
    return backend;
  };
  const renewal = async (url: string, env: Environment = {}) => {
    const lease = (await open(url, env)).lease(someOwner(), 5);
    return lease.renew(signal);
  };
  const works = async (url: string, env: Environment = {}) => {
    const backend = await open(url, env);
    const owner = someOwner();
    const lease = backend.lease(owner, 5);
    await lease.renew(signal);
    const service = `over-${owner.node}`;
    await lease.register(someInstance(owner, { service }), signal);
    const observation = backend.observe({ services: new Set([service]) });
    await eventually(observation, (now) => instancesOf(now, service)?.length === 1);
    await observation.close();
    await lease.release(signal);
  };
  const identity = () => `cert=${client.cert}&key=${client.key}`;

  it("is reached over mutual TLS", async () => {
    await works(`consul+tls://127.0.0.1:${httpsPort}?ca=${authority.ca}&${identity()}`);
    await works(`consul-tls://127.0.0.1:${httpsPort}?ca=${authority.ca}&${identity()}`);
    const env = {
      CONSUL_HTTP_ADDR: `https://127.0.0.1:${httpsPort}`,
      CONSUL_CACERT: authority.ca,
      CONSUL_CLIENT_CERT: client.cert,
      CONSUL_CLIENT_KEY: client.key,
    };
    await works("consul:", env);
    await works("consul:", { ...env, CONSUL_TLS_SERVER_NAME: "server.dc1.consul" });
    const { CONSUL_CACERT: _, ...untrusting } = env;
    await works("consul:", { ...untrusting, CONSUL_HTTP_SSL_VERIFY: "false" });
  });

  it("is not trusted with another CA, under another name, or without a CA", async () => {
    const url = `consul+tls://127.0.0.1:${httpsPort}?${identity()}`;
    await expect(renewal(`${url}&ca=${other.ca}`)).rejects.toMatchObject({
      code: "BACKEND_UNREACHABLE",
      message: expect.stringMatching(
        new RegExp(
          `certificate is not signed by ${other.ca} .*give the right CA with \\?ca= or CONSUL_CACERT`,
        ),
      ) as string,
    });
    await expect(renewal(url)).rejects.toThrow("not signed by the system's CAs");
    await expect(
      renewal(`${url}&ca=${authority.ca}`, { CONSUL_TLS_SERVER_NAME: "elsewhere.test" }),
    ).rejects.toThrow("CONSUL_TLS_SERVER_NAME");
  });

  it("refuses a client without a certificate, and one of a stranger", async () => {
    const url = `consul+tls://127.0.0.1:${httpsPort}?ca=${authority.ca}`;
    await expect(renewal(url)).rejects.toMatchObject({
      code: "BACKEND_UNREACHABLE",
      message: expect.stringContaining("?cert= and ?key=") as string,
    });
    await expect(renewal(`${url}&cert=${strangers.cert}&key=${strangers.key}`)).rejects.toThrow(
      "may not trust the client certificate",
    );
  });

  it("says that it speaks TLS to who does not, and the other way round", async () => {
    await expect(renewal(`consul://127.0.0.1:${httpsPort}`)).rejects.toThrow(/HTTPS/);
    const wrong = `consul+tls://127.0.0.1:${consul.port}?ca=${authority.ca}`;
    await expect(renewal(wrong)).rejects.toThrow("no TLS is spoken there");
  });

  it("is reached through its Unix socket", async () => {
    await works(`consul+unix://${socket}`);
    await works(`consul-unix://${socket}`);
    await works("consul:", { CONSUL_HTTP_ADDR: `unix://${socket}` });
    await expect(renewal(`consul+unix://${socket}-gone`)).rejects.toMatchObject({
      code: "BACKEND_UNREACHABLE",
      message: expect.stringContaining("ENOENT") as string,
    });
  });
});

it("follows a token file that is written anew", async () => {
  const [first, second] = ["3f2504e0-4f89-41d3-9a0c-0305e82c3301", "4f2504e0-4f89-41d3-9a0c-0305e82c3301"];
  const acl = `acl {\n  enabled = true\n  default_policy = "deny"\n  tokens {\n    master = "${first}"\n  }\n}`;
  const agent = await startConsul({ hcl: acl, token: first });
  const as = (method: string, path: string, body: unknown, token = first) =>
    fetch(`${agent.url}/v1${path}`, {
      method,
      headers: { "x-consul-token": token },
      body: JSON.stringify(body),
    });
  const policies = [{ Name: "global-management" }];
  const made = await as("PUT", "/acl/token", { SecretID: second, AccessorID: second, Policies: policies });
  expect(made.status).toBe(200);
  const file = join(tempDir("token"), "token");
  writeFileSync(file, "5f2504e0-4f89-41d3-9a0c-0305e82c3301");
  const url = parseBackendUrl(`consul://127.0.0.1:${agent.port}?token-file=${file}`);
  const backend = await openConsul(url, { env: {} });
  const owner = someOwner();
  const lease = backend.lease(owner, 15);
  const observation = backend.observe({ services: new Set(["follows"]) });
  await expect(lease.renew(signal)).rejects.toMatchObject({ code: "BACKEND_DENIED" });
  await waitFor("the refusal", () => observation.current().problem?.kind === "denied", { within: 10_000 });
  writeFileSync(file, first);
  await lease.renew(signal);
  await lease.register(someInstance(owner, { service: "follows" }), signal);
  await eventually(observation, (now) => instancesOf(now, "follows")?.length === 1, 30_000);
  writeFileSync(file, second);
  await lease.renew(signal);
  // The master token ends; whoever held on to it would be refused now.
  const self = (await (await as("GET", "/acl/token/self", undefined)).json()) as { AccessorID: string };
  await as("DELETE", `/acl/token/${self.AccessorID}`, undefined, second);
  await lease.register(someInstance(owner, { service: "follows", port: 4000 }), signal);
  await eventually(observation, (now) => instancesOf(now, "follows")?.[0]?.port === 4000, 30_000);
  expect(readFileSync(file, "utf8")).toBe(second);
  await backend.close();
  await agent.stop();
});
