import { createServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import {
  aborted,
  type Connection,
  type ConnectionOptions,
  connect,
} from "../../src/backends/zookeeper/connection.ts";

const signal = new AbortController().signal;
const options = (port: number, over: Partial<ConnectionOptions> = {}): ConnectionOptions => ({
  host: "127.0.0.1",
  port,
  timeout: 3_000,
  limit: 5_000,
  keepAlive: false,
  signal,
  ...over,
});

describe("a ZooKeeper connection", () => {
  const server = inject("zookeeper");
  let on: Connection;
  beforeAll(async () => {
    on = await connect(options(server.port, { timeout: 10_000, keepAlive: true }));
  });
  afterAll(() => on.end());

  it("replaces a node of version 0 only while it has version 0", async () => {
    // In the package's own transactions this version means any.
    await on.create("/replaced", "a", "ephemeral");
    expect(await on.replace("/replaced", 0, "b", "ephemeral")).toBe(true);
    await on.write("/replaced", "c");
    expect(await on.replace("/replaced", 0, "d", "ephemeral")).toBe(false);
    expect(await on.read("/replaced")).toMatchObject({ text: "c", version: 1, holder: on.session.id });
    expect(await on.replace("/replaced", 1, "e", "ephemeral")).toBe(true);
    expect(await on.replace("/nothing", 0, "f", "ephemeral")).toBe(false);
  });

  it("gives expected outcomes as values", async () => {
    expect(await on.create("/p/q/r", "", "persistent")).toBe(true);
    expect(await on.create("/p/q/r", "", "persistent")).toBe(false);
    expect(await on.remove("/p/q")).toBe(false);
    expect(await on.remove("/p/q/r", 7)).toBe(false);
    expect(await on.remove("/p/q/r", 0)).toBe(true);
    expect(await on.remove("/p/q/r")).toBe(true);
    expect(await on.read("/none")).toBeUndefined();
    expect(await on.list("/none")).toBeUndefined();
    expect(await on.write("/none", "x")).toBeUndefined();
    expect(await on.exists("/none")).toBe(false);
    await on.catchUp();
  });

  it("refuses a record that is too large, and goes on", async () => {
    await expect(on.create("/large", "x".repeat(2 ** 20 + 1), "ephemeral")).rejects.toMatchObject({
      code: "FAILED",
    });
    expect(await on.exists("/large")).toBe(false);
  });

  it("answers more requests at once than it sends at once", async () => {
    const paths = Array.from({ length: 1_000 }, (_, n) => `/many/${n}`);
    await Promise.all(paths.map((path) => on.create(path, path, "ephemeral")));
    expect(await Promise.all(paths.map(async (path) => (await on.read(path))?.text))).toEqual(paths);
  });

  it("continues a session that lives, and says when it has expired", async () => {
    const first = await connect(options(server.port, { timeout: 1_000 }));
    await first.create("/continued", "x", "ephemeral");
    const second = await connect(options(server.port, { session: first.session }));
    expect((await second.read("/continued"))?.holder).toBe(first.session.id);
    expect(first.gone.aborted || (await first.exists("/").catch(() => "gone"))).toBeTruthy();
    await second.end();
    await expect(connect(options(server.port, { session: first.session }))).rejects.toMatchObject({
      code: "LEASE_LOST",
    });
    expect(await on.exists("/continued")).toBe(false);
    await expect(second.exists("/")).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("learns that its session expired, because it kept still", async () => {
    const still = await connect(options(server.port, { timeout: 1_000 }));
    await new Promise((resolve) => still.gone.addEventListener("abort", resolve, { once: true }));
    expect(still.gone.reason).toMatchObject({ code: "BACKEND_UNREACHABLE" });
    await expect(connect(options(server.port, { session: still.session }))).rejects.toMatchObject({
      code: "LEASE_LOST",
    });
  });
});

/** Answers the handshake with a session of `timeout` ms, and everything after it with `answer`. */
async function pretender(
  timeout: number,
  answer: (request: Buffer, socket: Socket) => void,
  host = "127.0.0.1",
): Promise<{ readonly port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let greeted = false;
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      if (greeted) return answer(chunk, socket);
      greeted = true;
      const reply = Buffer.alloc(4 + 4 + 4 + 8 + 4 + 16);
      reply.writeInt32BE(reply.length - 4, 0);
      reply.writeInt32BE(timeout, 8);
      reply.writeInt32BE(7, 16);
      reply.writeInt32BE(16, 20);
      socket.write(reply);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

describe("a ZooKeeper connection to a peer that misbehaves", () => {
  const reply = (request: Buffer, error: number) => {
    const bytes = Buffer.alloc(4 + 16);
    bytes.writeInt32BE(16, 0);
    request.copy(bytes, 4, 4, 8);
    bytes.writeInt32BE(error, 16);
    return bytes;
  };

  it.each([
    ["an error code that the package does not know", -125],
    ["an answer that nothing asked for", undefined],
  ])("ends with a coded error after %s", async (_what, error) => {
    const peer = await pretender(3_000, (request, socket) => {
      socket.write(error === undefined ? Buffer.from([0, 0, 0, 4, 0, 0, 0, 9]) : reply(request, error));
    });
    const on = await connect(options(peer.port));
    const calls = [on.exists("/a"), on.exists("/b")];
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
    await expect(on.exists("/")).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
    peer.close();
  });

  it("gives up on a peer that is silent for a third of the timeout, idle or not", async () => {
    const peer = await pretender(1_500, () => {});
    const asking = await connect(options(peer.port));
    await expect(asking.read("/")).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
    const idle = await connect(options(peer.port, { keepAlive: true }));
    const before = performance.now();
    await new Promise((resolve) => idle.gone.addEventListener("abort", resolve, { once: true }));
    expect(performance.now() - before).toBeLessThan(10_000);
    const quiet = await connect(options(peer.port));
    await expect(quiet.end()).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
    peer.close();
  });

  it("takes an IPv6 address", async ({ skip }) => {
    const peer = await pretender(1_500, () => {}, "::1").catch(() => undefined);
    if (!peer) return skip("this machine has no IPv6 loopback");
    const on = await connect(options(peer.port, { host: "::1" }));
    expect(on.session).toMatchObject({ id: "0000000000000007", timeout: 1_500 });
    on.drop(aborted());
    peer.close();
  });

  it("gives up on a peer that accepts and never greets", async () => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    await expect(connect(options(address.port, { limit: 200 }))).rejects.toMatchObject({
      code: "BACKEND_UNREACHABLE",
    });
    server.close();
  });
});
