import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isLoopback } from "../../src/status/address.ts";
import { createMetrics } from "../../src/status/metrics.ts";
import { type StatusOptions, type StatusServer, startStatusServer } from "../../src/status/server.ts";
import { openToken } from "../../src/status/token.ts";
import { tempDir } from "../servers/run.ts";

let server: StatusServer | undefined;
afterEach(() => server?.close());

const ready: StatusOptions["daemon"] = () => ({ notReady: () => [], status: () => ({ node: "h1" }) });

const options = (port: number, daemon: StatusOptions["daemon"]): StatusOptions => ({
  ...{ host: "127.0.0.1", port, version: "1.2.3", command: "registrator" },
  metrics: createMetrics(),
  daemon,
});

async function start(daemon: StatusOptions["daemon"] = ready): Promise<StatusServer> {
  server = await startStatusServer(options(0, daemon));
  return server;
}

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

function ask(path: string, { method = "GET", host = "localhost", headers = {} } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const url = `http://${server?.address}${path}`;
    const asked = request(url, { method, headers: { host, ...headers } }, (response) => {
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

  it("/ is the page, which may run nothing but its own script", async () => {
    const { address } = await start();
    const answer = await fetch(`http://${address}/`);
    expect(answer.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(answer.headers.get("content-security-policy")).toMatch(/default-src 'none'; script-src 'self';/);
    const files = [...(await answer.text()).matchAll(/(?:src|href)="([\w.]+)"/g)].map(([, file]) => file);
    expect(files).toContain("page.js");
    for (const file of files) expect((await fetch(`http://${address}/${file}`)).status).toBe(200);
    for (const path of ["/cli.js", "/../cli.js", "/page", "/constructor"])
      expect((await ask(path)).status).toBe(404);
  });

  it("/events tells what there is, then what has changed, and ends with the server", async () => {
    let node = "h1";
    const docker = { url: "unix:///d", id: "e", apiVersion: "1.41", problem: undefined, staleSeconds: 0 };
    const status = () => ({ docker, node, instances: [], overrides: [], remarks: [], backends: [] });
    const { address } = await start(() => ({ notReady: () => [], status }));
    const answer = await fetch(`http://${address}/events`);
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    const events = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
    const next = async () => JSON.parse(((await events?.read())?.value ?? "").replace(/^data: /, ""));
    expect(await next()).toMatchObject({
      process: { pid: process.pid },
      docker: { node: "h1" },
      remarks: [],
    });
    node = "h2";
    let news = await next();
    while (news.docker === undefined) news = await next();
    expect(news.docker.node).toBe("h2");
    expect(Object.keys(news)).not.toContain("remarks");
    const ended = expect(events?.closed).rejects.toThrow();
    await server?.close();
    await ended;
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

  describe("with a token", () => {
    const bearer = { authorization: "Bearer right-token" };
    const paths = ["/", "/page.js", "/readyz", "/status", "/metrics", "/events", "/nothing"];
    let url: string;
    beforeEach(async () => {
      const file = join(tempDir("status-token"), "token");
      writeFileSync(file, "right-token");
      const token = await openToken(file);
      server = await startStatusServer({ ...options(0, ready), host: "0.0.0.0", token });
      url = `http://127.0.0.1:${server.address.split(":")[1]}`;
    });

    it.each<[name: string, headers: Record<string, string>, query?: string]>([
      ["none", {}],
      ["another", { authorization: "Bearer wrong-token" }],
      ["another, typed into a browser", { authorization: `Basic ${btoa(":wrong-token")}` }],
      ["the right one, in a place that ends up in logs", {}, "?token=right-token"],
    ])("tell nothing to those who have %s", async (_, headers, query = "") => {
      for (const path of paths) {
        const answer = await fetch(`${url}${path}${query}`, { headers });
        expect([path, answer.status]).toEqual([path, 401]);
        expect(answer.headers.get("www-authenticate")).toMatch(/^Basic /);
        expect(await answer.text()).toMatch(/^this needs the token/);
      }
    });

    it("tell those who have it everything, by whatever name they ask", async () => {
      for (const authorization of [bearer.authorization, `Basic ${btoa("me:right-token")}`])
        for (const path of paths.filter((one) => one !== "/events" && one !== "/nothing"))
          expect((await fetch(`${url}${path}`, { headers: { authorization } })).status).toBe(200);
      const named = await ask("/status", { host: "lb1.example:7601", headers: bearer });
      expect(named.status).toBe(200);
    });

    it("tell everybody that the process works, and no more", async () => {
      expect(await ask("/healthz", { host: "lb1.example:7601" })).toEqual({ status: 200, body: "ok\n" });
    });

    it("end the events of those who had the one before", async () => {
      const events = await fetch(`${url}/events`, { headers: bearer });
      server?.dismiss();
      expect(await events.text()).toContain("data: ");
    });
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
    const second = startStatusServer(options(port, ready));
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
