import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Etcd3 } from "etcd3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Backend, instancesOf } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import { encodeInstance } from "../../src/instance.ts";
import { type Authority, type Certificate, createAuthority } from "../servers/certificates.ts";
import { type Etcd, startEtcd } from "../servers/etcd.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { signal } from "./backend-stage.ts";
import { eventually, someInstance, someOwner } from "./contract/suite.ts";

const open = (url: string): Promise<Backend> => openBackend(url, { env: {} });

/** What a renewal comes to, with a backend that is closed afterwards. */
const renewal = async (url: string) => {
  const backend = await open(url);
  const lease = backend.lease(someOwner(), 5);
  try {
    await lease.renew(signal);
    await lease.release(signal);
    return "renewed";
  } finally {
    await backend.close();
  }
};

describe("etcd: over TLS", () => {
  let server: Etcd;
  let tlsPort: number;
  let [right, wrong]: Authority[] = [];
  let client: Certificate;
  let stranger: Certificate;

  beforeAll(async () => {
    [right, wrong] = await Promise.all([createAuthority("etcd-right"), createAuthority("etcd-wrong")]);
    const own = await authority().sign("server", ["127.0.0.1"]);
    [client, stranger] = await Promise.all([authority().sign("client"), other().sign("client")]);
    const port = await freePort();
    tlsPort = await freePort();
    server = await startEtcd({
      port,
      args: [
        ["--listen-client-urls", `http://127.0.0.1:${port},https://127.0.0.1:${tlsPort}`],
        ["--cert-file", own.cert, "--key-file", own.key],
        ["--trusted-ca-file", authority().ca, "--client-cert-auth"],
      ].flat(),
    });
  });
  afterAll(() => server.stop());

  const authority = () => right ?? raise();
  const other = () => wrong ?? raise();
  const raise = (): never => {
    throw new Error("no authority");
  };
  const at = (query: string) => `etcd+tls://127.0.0.1:${tlsPort}/tls?${query}`;
  const identity = ({ cert, key }: Certificate) => `cert=${cert}&key=${key}`;

  it("is read and written with a client's certificate", async () => {
    const backend = await open(at(`ca=${authority().ca}&${identity(client)}`));
    const owner = someOwner();
    const lease = backend.lease(owner, 30);
    await lease.renew(signal);
    const observation = backend.observe({ services: new Set(["web"]) });
    await lease.register(someInstance(owner), signal);
    await eventually(observation, (s) => instancesOf(s, "web")?.length === 1);
    await observation.close();
    await lease.release(signal);
    await backend.close();
  });

  it("names the authority that did not sign the server's certificate", async () => {
    await expect(renewal(at(`ca=${other().ca}&${identity(client)}`))).rejects.toMatchObject({
      code: "BACKEND_UNREACHABLE",
      message: expect.stringMatching(
        `not signed by ${other().ca}: give the right authority with \\?ca=`,
      ) as string,
    });
  });

  it("asks for a client's certificate where the server wants one that it trusts", async () => {
    for (const who of ["", identity(stranger)]) {
      await expect(renewal(at(`ca=${authority().ca}&${who}`))).rejects.toMatchObject({
        code: "BACKEND_UNREACHABLE",
        message: expect.stringContaining("give it with ?cert= and ?key=") as string,
      });
    }
  });
});

describe("etcd: with a user", () => {
  let server: Etcd;
  let root: Etcd3;
  const file = join(tempDir("etcd-user"), "password");

  beforeAll(async () => {
    // Tokens live for a second, as long as nobody uses them.
    server = await startEtcd({ args: ["--auth-token-ttl", "1"] });
    const bare = new Etcd3({ hosts: server.url });
    const role = await bare.role("member").create();
    await role.grant({ permission: "Readwrite", range: bare.range({ prefix: "/user/" }) });
    await (await bare.user("member").create("first")).addRole(role);
    await bare.user("root").create("root");
    await bare.user("root").addRole(await bare.role("root").create());
    await bare.auth.authEnable();
    bare.close();
    root = new Etcd3({ hosts: server.url, auth: { username: "root", password: "root" } });
    await writeFile(file, "first\n");
  });
  afterAll(async () => {
    root.close();
    await server.stop();
  });

  const url = () => `etcd://127.0.0.1:${server.port}/user?user=member&password-file=${file}`;

  it("takes a new token when the server forgot the one it had, though it only beats", async () => {
    const backend = await open(url());
    const lease = backend.lease(someOwner(), 60);
    await lease.renew(signal);
    await server.restart();
    // Nothing but heartbeats: no other call is refused and would renew the token.
    await waitFor(
      "the server",
      () =>
        root
          .get("x")
          .string()
          .then(() => true),
      { within: 20_000, every: 100 },
    );
    expect(await lease.renew(signal)).toMatchObject({ fresh: false });
    await lease.release(signal);
    await backend.close();
  });

  it("takes a new token after the one it had expired", async () => {
    const backend = await open(url());
    const owner = someOwner();
    const lease = backend.lease(owner, 60);
    await lease.renew(signal);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    await lease.register(someInstance(owner), signal);
    expect(await lease.owned(signal)).toHaveLength(1);
    await lease.release(signal);
    await backend.close();
  });

  it("leaves one lease behind however often a claim does not come to its end", async () => {
    // May write a node's key, and not read the records that have to be moved.
    const half = await root.role("half").create();
    await half.grant({ permission: "Readwrite", range: root.range({ prefix: "/half/nodes/" }) });
    await (await root.user("half").create("first")).addRole(half);
    const owner = someOwner();
    const record = someInstance(owner);
    await root.put(`/half/services/web/${record.id}`).value(encodeInstance(record));
    const leases = async () => (await root.leaseClient.leaseLeases()).leases.length;
    const before = await leases();
    await writeFile(file, "first\n");
    const backend = await open(`etcd://127.0.0.1:${server.port}/half?user=half&password-file=${file}`);
    const lease = backend.lease(owner, 60);
    for (let n = 0; n < 5; n += 1) {
      await expect(lease.renew(signal)).rejects.toMatchObject({ code: "BACKEND_DENIED" });
    }
    expect((await leases()) - before).toBe(1);
    await half.grant({ permission: "Readwrite", range: root.range({ prefix: "/half/services/" }) });
    expect(await lease.renew(signal)).toMatchObject({ fresh: true });
    expect(await lease.owned(signal)).toHaveLength(1);
    expect((await leases()) - before).toBe(1);
    await lease.release(signal);
    expect((await leases()) - before).toBe(0);
    await backend.close();
  });

  it("reads the password again once it was changed, and is denied until then", async () => {
    const backend = await open(url());
    const owner = someOwner();
    const lease = backend.lease(owner, 60);
    await lease.renew(signal);
    const observation = backend.observe({ services: "all" });
    await eventually(observation, () => true);
    await root.auth.userChangePassword({ name: "member", password: "second" });
    await expect(lease.register(someInstance(owner), signal)).rejects.toMatchObject({
      code: "BACKEND_DENIED",
      message: expect.not.stringContaining("first") as string,
    });
    await writeFile(file, "second\n");
    // A try that began with the old password may be one more that is denied.
    const register = async () => (await lease.register(someInstance(owner), signal)).leftOut;
    expect(await waitFor("the new password", register, { within: 20_000 })).toEqual([]);
    expect(await lease.renew(signal)).toMatchObject({ fresh: false });
    observation.refresh();
    await eventually(observation, (s) => instancesOf(s, "web")?.length === 1, 20_000);
    await observation.close();
    await lease.release(signal);
    await backend.close();
  });
});
