import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import zookeeperClient from "node-zookeeper-client";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type Backend, instancesOf } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import { type Authority, type Certificate, createAuthority } from "../servers/certificates.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { startZooKeeper, type ZooKeeper } from "../servers/zookeeper.ts";
import { signal } from "./backend-stage.ts";
import { eventually, someInstance, someOwner } from "./contract/suite.ts";
import { openGate } from "./gate.ts";

const open = (url: string): Promise<Backend> => openBackend(url, { env: {} });

describe("zookeeper: over TLS", () => {
  let server: ZooKeeper;
  let port: number;
  let right: Authority;
  let wrong: Authority;
  let client: Certificate;

  beforeAll(async () => {
    [right, wrong] = await Promise.all([createAuthority("zk-right"), createAuthority("zk-wrong")]);
    const own = await right.sign("server", ["127.0.0.1", "localhost"]);
    client = await right.sign("client");
    port = await freePort();
    const both = join(tempDir("zookeeper-tls"), "server.pem");
    // OpenSSL writes the key as PKCS #8, which is what ZooKeeper reads.
    await writeFile(both, `${await readFile(own.key, "utf8")}${await readFile(own.cert, "utf8")}`);
    server = await startZooKeeper({
      config: [
        "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
        `secureClientPort=${port}`,
        "secureClientPortAddress=127.0.0.1",
        `ssl.keyStore.location=${both}`,
        "ssl.keyStore.type=PEM",
        `ssl.trustStore.location=${right.ca}`,
        "ssl.trustStore.type=PEM",
        "ssl.clientAuth=need",
        "ssl.hostnameVerification=false",
      ].join("\n"),
    });
  });
  afterAll(() => server.stop());

  const at = (query: string, host = "127.0.0.1") => `zookeeper+tls://${host}:${port}/tls?${query}`;
  const identity = () => `cert=${client.cert}&key=${client.key}`;

  it.each(["127.0.0.1", "localhost"])(
    "is read and written with a client's certificate at %s",
    async (host) => {
      const backend = await open(at(`ca=${right.ca}&${identity()}`, host));
      const owner = someOwner();
      const lease = backend.lease(owner, 10);
      await lease.renew(signal);
      const observation = backend.observe({ services: new Set(["web"]) });
      await lease.register(someInstance(owner), signal);
      await eventually(observation, (s) => instancesOf(s, "web")?.length === 1);
      await observation.close();
      await lease.release(signal);
      await backend.close();
    },
  );

  it("believes no server that another authority signed, and is refused without a certificate", async () => {
    for (const query of [`ca=${wrong.ca}&${identity()}`, `ca=${right.ca}`]) {
      const backend = await open(at(query));
      await expect(backend.lease(someOwner(), 10).renew(signal)).rejects.toMatchObject({
        code: "BACKEND_UNREACHABLE",
      });
      await backend.close();
    }
  });
});

describe("zookeeper: with a user", () => {
  const server = inject("zookeeper");

  it("says who it is on each connection, so that a broken one costs no right", async () => {
    const file = join(tempDir("zookeeper-user"), "password");
    await writeFile(file, "secret\n");
    const gate = await openGate(server.port);
    const root = `/zookeeper-user-${process.pid}`;
    const backend = await open(`zookeeper://127.0.0.1:${gate.port}${root}?user=member&password-file=${file}`);
    const owner = someOwner();
    const lease = backend.lease(owner, 10);
    await lease.renew(signal);
    const instance = someInstance(owner);
    await lease.register(instance, signal);
    gate.cut();
    await expect(lease.renew(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
    gate.open();
    const renewal = await waitFor("a renewal", () => lease.renew(signal), { within: 50_000, every: 100 });
    expect(renewal).toMatchObject({ fresh: false });
    await lease.register({ ...instance, port: 7 }, signal);
    expect(await lease.owned(signal)).toMatchObject([{ port: 7 }]);
    await lease.release(signal);
    await backend.close();
    await gate.close();
  });

  it("says the new password once its file has it, and goes on in the same session", async () => {
    const file = join(tempDir("zookeeper-user"), "password");
    await writeFile(file, "first\n");
    const root = `/zookeeper-password-${process.pid}`;
    const backend = await open(`zookeeper://${server.address}${root}?user=member&password-file=${file}`);
    const owner = someOwner();
    const lease = backend.lease(owner, 10);
    await lease.renew(signal);
    const instance = someInstance(owner);
    await lease.register(instance, signal);
    // All of it is another user's from now on: the same name, and another password.
    await hand(root, "member:first", "member:second");
    await expect(lease.register({ ...instance, port: 7 }, signal)).rejects.toMatchObject({
      code: "BACKEND_DENIED",
      message: expect.not.stringContaining("first") as string,
    });
    await writeFile(file, "second\n");
    const write = () => lease.register({ ...instance, port: 7 }, signal);
    await waitFor("the new password", write, { within: 50_000, every: 100 });
    expect(await lease.renew(signal)).toMatchObject({ fresh: false });
    expect(await lease.owned(signal)).toMatchObject([{ port: 7 }]);
    await lease.release(signal);
    await backend.close();
  });

  /** Gives all nodes below a path, which belong to one user, to another one. */
  async function hand(root: string, from: string, to: string): Promise<void> {
    const client = zookeeperClient.createClient(server.address);
    client.addAuthInfo("digest", Buffer.from(from));
    client.connect();
    const digest = createHash("sha1").update(to).digest("base64");
    const { ACL, Id, Permission } = zookeeperClient;
    const list = [
      new ACL(Permission.ALL, new Id("digest", `${to.split(":")[0]}:${digest}`)),
      new ACL(Permission.READ, new Id("world", "anyone")),
    ];
    const handOne = async (path: string): Promise<void> => {
      const names = await new Promise<readonly string[]>((resolve, reject) =>
        client.getChildren(path, (error, found) => (error ? reject(error) : resolve(found ?? []))),
      );
      for (const name of names) await handOne(`${path}/${name}`);
      await new Promise<void>((resolve, reject) =>
        client.setACL(path, list, -1, (error) => (error ? reject(error) : resolve())),
      );
    };
    await handOne(root);
    client.close();
  }
});
