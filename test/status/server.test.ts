import { request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "vitest";
import { isLoopback } from "../../src/status/address.ts";
import { type StatusOptions, type StatusServer, startStatusServer } from "../../src/status/server.ts";

let server: StatusServer | undefined;
afterEach(() => server?.close());

const ready: StatusOptions["daemon"] = () => ({ notReady: () => [], status: () => ({ node: "h1" }) });

async function start(daemon: StatusOptions["daemon"] = ready): Promise<StatusServer> {
  server = await startStatusServer({ host: "127.0.0.1", port: 0, version: "1.2.3", daemon });
  return server;
}

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

function ask(path: string, { method = "GET", host = "localhost" } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const url = `http://${server?.address}${path}`;
    const asked = request(url, { method, headers: { host } }, (response) => {
      let body = "";
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode, body }));
    });
    asked.on("error", reject).end();
  });
}

describe("the status pages", () => {
  it("B3 /healthz is green and /readyz tells why not", async () => {
    await start(() => ({
      notReady: () => ["Docker does not answer", "consul: unreachable"],
      status: () => ({}),
    }));
    expect(await ask("/healthz")).toEqual({ status: 200, body: "ok\n" });
    expect(await ask("/readyz")).toEqual({
      status: 503,
      body: "Docker does not answer\nconsul: unreachable\n",
    });
  });

  it("are ready when the daemon is, and not before there is one", async () => {
    let daemon: ReturnType<StatusOptions["daemon"]>;
    await start(() => daemon);
    expect(await ask("/readyz")).toEqual({ status: 503, body: "starting\n" });
    daemon = ready();
    expect(await ask("/readyz?verbose")).toEqual({ status: 200, body: "ready\n" });
  });

  it("/status shows the process and the daemon as JSON", async () => {
    await start();
    const { status, body } = await ask("/status");
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ version: "1.2.3", pid: process.pid, notReady: [], node: "h1" });
  });

  it("answer GET on known paths only", async () => {
    await start();
    expect((await ask("/nothing")).status).toBe(404);
    for (const method of ["POST", "HEAD", "DELETE"])
      expect((await ask("/healthz", { method })).status).toBe(405);
  });

  it.each<[host: string, status: number]>([
    ["127.0.0.1:7601", 200],
    ["[::1]:7601", 200],
    ["LOCALHOST", 200],
    ["evil.example:7601", 403],
    ["127.0.0.1.evil.example", 403],
    ["10.0.0.1", 403],
  ])("asked as %s they answer %d", async (host, status) => {
    await start();
    expect((await ask("/status", { host })).status).toBe(status);
  });

  it("answer an HTTP/1.0 check that names no host", async () => {
    const { address } = await start();
    const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
    socket.end("GET /readyz HTTP/1.0\r\n\r\n");
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("survive a daemon that cannot say how it is", async () => {
    await start(() => ({
      notReady: () => {
        throw new Error("broken");
      },
      status: () => ({}),
    }));
    expect(await ask("/readyz")).toEqual({ status: 500, body: "broken\n" });
  });

  it("say so when the address is taken", async () => {
    const { address } = await start();
    const port = Number(address.split(":")[1]);
    const second = startStatusServer({ host: "127.0.0.1", port, version: "", daemon: ready });
    await expect(second).rejects.toMatchObject({
      code: "ADDRESS_IN_USE",
      message: expect.stringContaining(address),
    });
  });
});

it.each([
  ["127.0.0.1", true],
  ["127.9.9.9", true],
  ["::1", true],
  ["0:0:0:0:0:0:0:1", true],
  ["localhost", true],
  ["", false],
  ["::", false],
  ["1::1", false],
  ["0.0.0.0", false],
  ["localhost.evil", false],
])("%s is a loopback address: %s", (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});
