import { Agent, request } from "node:http";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Etcd3 } from "etcd3";
import zookeeperClient from "node-zookeeper-client";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { dockerCli } from "./docker.ts";
import { get } from "./http.ts";
import { freePort } from "./ports.ts";
import { type Endpoint, type FaultProxy, type ProxyOptions, startFaultProxy } from "./proxy.ts";
import { tempDir } from "./run.ts";
import { waitFor } from "./wait.ts";

const soon = { within: 5_000, every: 5 };

describe.each(["TCP", "Unix"] as const)("faults over %s", (family) => {
  /** Says everything twice, and ends when its client has ended. */
  let echo: Server;
  let upstream: Endpoint;

  beforeAll(async () => {
    upstream = await endpoint();
    echo = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("data", (bytes) => socket.write(Buffer.concat([bytes, bytes])));
      socket.on("end", () => socket.end("bye"));
      socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => echo.listen(upstream, resolve));
  });
  afterAll(() => echo.close());

  const endpoint = async (): Promise<Endpoint> =>
    family === "TCP"
      ? { port: await freePort(), host: "127.0.0.1" }
      : { path: join(tempDir("proxy"), "socket") };
  const start = async (): Promise<FaultProxy> => started({ upstream, listen: await endpoint() });

  test("passes everything on, ends included, and counts it", async () => {
    const proxy = await start();
    const client = call(proxy);
    client.socket.end("hello");
    await waitFor("the end", () => client.events.includes("end"), soon);
    expect(client.text()).toBe("hellohellobye");
    expect(proxy.counts()).toMatchObject({ connections: 1, bytesToServer: 5, bytesToClient: 13 });
    await waitFor("the link to go", () => proxy.counts().open === 0, soon);
  });

  test("holds: nothing is lost, old and new connections go on after it", async () => {
    const proxy = await start();
    const old = call(proxy);
    await old.says("a", "aa");
    proxy.hold();
    const young = call(proxy);
    old.socket.write("b");
    young.socket.write("c");
    await waitFor("both to arrive", () => proxy.counts().bytesToServer === 3, soon);
    await sleep(50);
    expect([old.text(), young.text()]).toEqual(["aa", ""]);
    await proxy.pass();
    await waitFor("both answers", () => old.text() === "aabb" && young.text() === "cc", soon);
  });

  test("holds one way: the server acts, its answer does not come", async () => {
    const proxy = await start();
    const client = call(proxy);
    proxy.hold("toClient");
    client.socket.write("a");
    await waitFor("the answer at the proxy", () => proxy.counts().bytesToClient === 2, soon);
    expect(client.text()).toBe("");
    proxy.cut();
    await client.isCutOff();
    expect(client.text()).toBe("");
  });

  test("drops: silence, and a reset when the silence ends", async () => {
    const proxy = await start();
    const [torn, idle] = [call(proxy), call(proxy)];
    await Promise.all([torn.says("a", "aa"), idle.says("a", "aa")]);
    proxy.drop();
    torn.socket.write("b");
    await waitFor("it to arrive", () => proxy.counts().bytesToServer === 3, soon);
    await sleep(50);
    expect([torn.text(), torn.events]).toEqual(["aa", []]);
    await proxy.pass();
    await torn.isCutOff();
    await idle.says("c", "aacc");
  });

  test("refuses, and serves again at the same address", async () => {
    const proxy = await start();
    const old = call(proxy);
    await old.says("a", "aa");
    proxy.refuse();
    await old.isCutOff();
    const refused = call(proxy);
    await waitFor("the refusal", () => refused.events.includes("ECONNREFUSED"), soon);
    await proxy.pass();
    await call(proxy).says("a", "aa");
  });

  test("cuts: all connections, at once, and serves new ones", async () => {
    const proxy = await start();
    const clients = [call(proxy), call(proxy)];
    for (const client of clients) await client.says("a", "aa");
    proxy.cut();
    for (const client of clients) await client.isCutOff();
    if (family === "TCP")
      expect(clients.map(({ events }) => events[0])).toEqual(["ECONNRESET", "ECONNRESET"]);
    expect(proxy.counts()).toMatchObject({ connections: 2, open: 0 });
    await call(proxy).says("a", "aa");
  });

  test("delays, in order", async () => {
    const proxy = await start();
    const client = call(proxy);
    await client.says("a", "aa");
    proxy.latency(60);
    const begin = performance.now();
    client.socket.write("b");
    await client.says("c", "aabbcc", "aabcbc");
    expect(performance.now() - begin).toBeGreaterThan(115);
    proxy.latency(0);
    await client.says("d", `${client.text()}dd`);
  });

  test("throttles: so many bytes a second, in order, and all of the rest when it ends", async () => {
    const proxy = await start();
    const client = call(proxy);
    await client.says("a", "aa");
    proxy.throttle(20, "toClient");
    const begin = performance.now();
    client.socket.write("bcdef");
    await waitFor("four bytes", () => client.text().length >= 6, soon);
    expect(performance.now() - begin).toBeGreaterThan(140);
    expect("aabcdefbcdef".startsWith(client.text())).toBe(true);
    proxy.throttle(Infinity, "toClient");
    await client.says("", "aabcdefbcdef");
  });

  test("forgets: what is open goes silent, new connections work, and silence ends in a reset", async () => {
    const proxy = await start();
    const [old, idle] = [call(proxy), call(proxy)];
    await Promise.all([old.says("a", "aa"), idle.says("a", "aa")]);
    proxy.forget();
    old.socket.write("b");
    await call(proxy).says("c", "cc");
    expect([old.text(), old.events, idle.events]).toEqual(["aa", [], []]);
    await proxy.pass();
    await Promise.all([old.isCutOff(), idle.isCutOff()]);
  });

  test("lets so many bytes through and no more", async () => {
    const proxy = await start();
    const client = call(proxy);
    proxy.after(3, "cut");
    client.socket.write("abcd");
    await client.isCutOff();
    expect(client.text()).toBe("abc");
  });
});

describe("what clients asked", () => {
  test("HTTP requests, over kept connections, with bodies of every kind", async () => {
    const { url, port } = inject("consul");
    const seen: string[] = [];
    const proxy = await started({
      upstream: { port },
      protocol: "http",
      onChunk: (direction, _chunk, connection) => seen.push(`${direction} ${connection}`),
    });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const value = "GET /not/a/request HTTP/1.1\r\n\r\n".repeat(2000);
    for (const chunked of [false, true]) {
      await send(proxy, agent, "PUT", `/v1/kv/proxy-test?chunked=${chunked}`, value, chunked);
    }
    await send(proxy, agent, "GET", "/v1/kv/proxy-test?raw", "", false);
    await send(proxy, agent, "DELETE", "/v1/kv/proxy-test", "", false);
    expect(proxy.counts().requests).toEqual([
      { method: "PUT", path: "/v1/kv/proxy-test?chunked=false" },
      { method: "PUT", path: "/v1/kv/proxy-test?chunked=true" },
      { method: "GET", path: "/v1/kv/proxy-test?raw" },
      { method: "DELETE", path: "/v1/kv/proxy-test" },
    ]);
    expect(proxy.counts().connections).toBe(1);
    expect(new Set(seen)).toEqual(new Set(["toServer 1", "toClient 1"]));
    proxy.resetCounts();
    expect(await get(`${url}/v1/status/leader`)).not.toBe("");
    expect(proxy.counts()).toMatchObject({ connections: 0, requests: [], bytesToServer: 0 });
  });

  test("Docker over its Unix socket, whose clients ask for versions of the same paths", async () => {
    const { socket, address } = inject("docker");
    const path = join(tempDir("proxy"), "docker.sock");
    const proxy = await started({ upstream: { path: socket }, listen: { path }, protocol: "http" });
    await dockerCli({ socket: proxy.path, address }).docker(["ps"]);
    expect(proxy.counts().requests.map((one) => one.path)).toContainEqual(
      expect.stringMatching(/containers\/json/),
    );
    proxy.refuse();
    await expect(dockerCli({ socket: proxy.path, address }).docker(["ps"])).rejects.toThrow(
      /[Cc]annot connect|failed to connect/,
    );
  });

  test("etcd's gRPC calls, as frames", async () => {
    const proxy = await started({ upstream: { port: inject("etcd").port }, protocol: "http2" });
    const client = new Etcd3({ hosts: proxy.url });
    onTestFinished(() => client.close());
    await client.put("proxy-test").value("1");
    const { HEADERS: before = 0 } = proxy.counts().frames;
    for (let i = 0; i < 5; i++) await client.put("proxy-test").value("x".repeat(40_000));
    expect(proxy.counts().frames.HEADERS).toBe(before + 5);
    expect(proxy.counts().frames.DATA).toBeGreaterThanOrEqual(before + 5);
    await client.delete().key("proxy-test");
  });

  test("ZooKeeper's operations, pings apart", async () => {
    const proxy = await started({ upstream: { port: inject("zookeeper").port }, protocol: "zookeeper" });
    const client = zookeeperClient.createClient(`127.0.0.1:${proxy.port}`, {
      sessionTimeout: 1500,
      spinDelay: 50,
      retries: 1,
    });
    client.connect();
    await new Promise<void>((resolve) => client.once("connected", resolve));
    await new Promise<void>((resolve, reject) =>
      client.create("/proxy-test", Buffer.from("1"), (e) => (e ? reject(e) : resolve())),
    );
    await new Promise<void>((resolve, reject) =>
      client.setData("/proxy-test", Buffer.alloc(9000), (e) => (e ? reject(e) : resolve())),
    );
    await waitFor("a ping", () => proxy.counts().frames.ping, soon);
    await new Promise<void>((resolve, reject) =>
      client.remove("/proxy-test", (e) => (e ? reject(e) : resolve())),
    );
    client.close();
    const { ping: _, ...frames } = await waitFor(
      "the end of the session",
      () => proxy.counts().frames.closeSession !== undefined && proxy.counts().frames,
      soon,
    );
    expect(frames).toEqual({ connect: 1, create: 1, setData: 1, delete: 1, closeSession: 1 });
  });
});

async function started(options: ProxyOptions): Promise<FaultProxy> {
  const proxy = await startFaultProxy(options);
  onTestFinished(() => proxy.stop());
  return proxy;
}

interface Client {
  readonly socket: Socket;
  /** "end", "close" and error codes, in order. */
  readonly events: readonly string[];
  text(): string;
  /** Sends and waits until all that was ever received is one of `answers`. */
  says(text: string, ...answers: readonly string[]): Promise<void>;
  /** Waits until it sees that it was cut off: a reset on TCP, the end on a Unix socket, which knows no other. */
  isCutOff(): Promise<void>;
}

function call(proxy: FaultProxy): Client {
  const at = proxy.path === "" ? { port: proxy.port, host: proxy.host } : { path: proxy.path };
  const socket = connect({ ...at, allowHalfOpen: true });
  const events: string[] = [];
  let received = "";
  socket.on("data", (bytes) => {
    received += bytes.toString();
  });
  socket.on("end", () => events.push("end"));
  socket.on("close", () => events.push("close"));
  socket.on("error", (error: NodeJS.ErrnoException) => events.push(error.code ?? error.message));
  onTestFinished(() => void socket.destroy());
  return {
    socket,
    events,
    text: () => received,
    isCutOff: async () => {
      const [event] = await waitFor("the client to be cut off", () => events.length > 0 && events, soon);
      expect(event).toBe(proxy.path === "" ? "ECONNRESET" : "end");
    },
    says: async (text, ...answers) => {
      socket.write(text);
      await waitFor(`${answers.join(" or ")}`, () => answers.includes(received), soon);
    },
  };
}

function send(
  proxy: FaultProxy,
  agent: Agent,
  method: string,
  path: string,
  body: string,
  chunked: boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = chunked ? { "transfer-encoding": "chunked" } : { "content-length": String(body.length) };
    const asked = request({ host: proxy.host, port: proxy.port, agent, method, path, headers }, (answer) => {
      answer.resume();
      answer.on("end", resolve);
    });
    asked.on("error", reject);
    const half = body.length / 2;
    asked.write(body.slice(0, half));
    asked.end(body.slice(half));
  });
}
