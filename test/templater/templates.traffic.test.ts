import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, request, type Server } from "node:http";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Instance } from "../../src/instance.ts";
import { loadTemplate } from "../../src/templater/load.ts";
import { renderTemplate } from "../../src/templater/render.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import type { TestServer } from "../servers/server.ts";
import { waitFor } from "../servers/wait.ts";
import { frontProxies } from "./front-proxies.ts";
import { instance, worldOf } from "./golden/world.ts";

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** An application: says its name and what it was asked, refuses /broken, echoes after an upgrade. */
async function startApp(name: string): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((asked, answer) => {
    if (asked.url === "/broken") answer.statusCode = 500;
    answer.end(JSON.stringify({ name, url: asked.url, headers: asked.headers }));
  });
  server.on("upgrade", ({ headers }, socket: Duplex) => {
    // RFC 6455, section 1.3.
    const proof = `${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(proof).digest("base64");
    const lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"];
    socket.write(`${[...lines, `Sec-WebSocket-Accept: ${accept}`].join("\r\n")}\r\n\r\n`);
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { server, port };
}

function ask(port: number, host: string, path = "/"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, headers: { host }, agent: false, timeout: 5000 });
    asked.on("error", reject);
    asked.on("timeout", () => asked.destroy(new Error("no answer")));
    asked.on("response", (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    asked.end();
  });
}

/** Asks for a websocket and returns what comes back for "ping". */
function upgrade(port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      host,
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-version": "13",
    };
    const asked = request({ host: "127.0.0.1", port, path: "/ws", headers, agent: false, timeout: 5000 });
    asked.on("error", reject);
    asked.on("response", (answer) => reject(new Error(`no upgrade: ${answer.statusCode}`)));
    asked.on("upgrade", (_answer, socket) => {
      socket.once("data", (echo: Buffer) => {
        resolve(echo.toString());
        socket.destroy();
      });
      socket.write("ping");
    });
    asked.end();
  });
}

const appOf = ({ body }: Answer) =>
  JSON.parse(body) as { readonly name: string; readonly url: string; readonly headers: IncomingHttpHeaders };

describe.each(frontProxies)("traffic through $file", ({ file, start }) => {
  const apps: Server[] = [];
  let proxy: TestServer | undefined;
  let port = 0;

  beforeAll(async () => {
    port = await freePort();
    const one = await startApp("one");
    const two = await startApp("two");
    apps.push(one.server, two.server);
    const nobody = await freePort();
    const local = (id: string, appPort: number, meta: Instance["meta"], more: Partial<Instance> = {}) =>
      instance({ id, service: id.replace(/-\d$/, ""), address: "127.0.0.1", port: appPort, meta, ...more });
    const instances = [
      local("web-1", one.port, { http_host: "www.example.com,*.example.com" }),
      local("api-1", two.port, { http_host: "www.example.com", http_path: "/api" }),
      local("exact-1", two.port, { http_host: "exact.example.com", http_path: "/only" }),
      local("half-1", one.port, { http_host: "half.test" }),
      local("half-2", nobody, { http_host: "half.test" }),
      local("shared-1", one.port, { http_host: "shared.test" }),
      local("shared-2", two.port, { http_host: "shared.test" }),
      local("idle-1", one.port, { http_host: "idle.test" }, { weight: 0 }),
      local("rest-1", one.port, { http_host: "rest.test" }, { weight: 0 }),
      local("rest-2", two.port, { http_host: "rest.test" }),
      local("starting-1", one.port, { http_host: "starting.test" }, { state: "starting" }),
      local("sick-1", one.port, { http_host: "sick.test", http_check: "/broken" }),
      local("plain-1", one.port, {}),
    ];

    const dir = tempDir("traffic");
    mkdirSync(join(dir, "temp"));
    const template = await loadTemplate(join(import.meta.dirname, `../../templates/${file}.hbs`));
    const env = {
      PORTOLAN_HTTP_BIND: `127.0.0.1:${port}`,
      PORTOLAN_HAPROXY_SOCKET: join(dir, "admin.sock"),
      PORTOLAN_NGINX_PID: "off",
      PORTOLAN_NGINX_ERROR_LOG: "stderr",
      PORTOLAN_NGINX_TEMP: "temp",
    };
    const rendered = renderTemplate(template, worldOf(instances, env));
    if (rendered.status !== "rendered") throw new Error("waiting");
    const config = join(dir, file);
    writeFileSync(config, rendered.text);
    proxy = await start(config, dir);
    await waitFor(
      "the proxy's first answer",
      async () => (await ask(port, "www.example.com")).status === 200,
      {
        within: 10_000,
      },
    );
  });

  afterAll(async () => {
    await proxy?.stop();
    for (const app of apps) {
      app.closeAllConnections();
      app.close();
    }
  });

  const askedFor = async (host: string, path?: string) => appOf(await ask(port, host, path)).name;

  it("routes by host and by the longest path", async () => {
    expect(await askedFor("www.example.com")).toBe("one");
    expect(await askedFor("WWW.example.com:8080", "/ap")).toBe("one");
    expect(await askedFor("www.example.com", "/api/users?x=1")).toBe("two");
    expect(await askedFor("other.example.com", "/api")).toBe("one");
  });

  it("prefers an exact host to a wildcard, even for paths that it does not serve", async () => {
    expect(await askedFor("exact.example.com", "/only/this")).toBe("two");
    expect((await ask(port, "exact.example.com", "/other")).status).toBe(404);
  });

  it("hands the request on unchanged, with X-Forwarded-*", async () => {
    const { url, headers } = appOf(await ask(port, "www.example.com", "/api/a%20b?c=d"));
    expect(url).toBe("/api/a%20b?c=d");
    expect(headers).toMatchObject({
      host: "www.example.com",
      "x-forwarded-for": "127.0.0.1",
      "x-forwarded-proto": "http",
      "x-forwarded-host": "www.example.com",
      "x-forwarded-port": String(port),
    });
  });

  it("answers 404 for a host that nobody serves", async () => {
    const answer = await ask(port, "unknown.test");
    expect(answer).toEqual({ status: 404, body: "404: no service has this host and path.\n" });
    expect((await ask(port, "plain")).status).toBe(404);
    expect((await ask(port, "example.com")).status).toBe(404);
  });

  it.each(["starting.test", "idle.test"])("answers 503 for %s, which nobody can serve now", async (host) => {
    expect(await ask(port, host)).toEqual({
      status: 503,
      body: "503: no instance of this service is ready.\n",
    });
  });

  it("shares requests out, and gives none to a weight of 0", async () => {
    const names = async (host: string) =>
      new Set(await Promise.all(Array.from({ length: 12 }, () => askedFor(host))));
    expect(await names("shared.test")).toEqual(new Set(["one", "two"]));
    expect(await names("rest.test")).toEqual(new Set(["two"]));
  });

  it("passes over a server that is down, without an error", async () => {
    for (let n = 0; n < 10; n++) expect((await ask(port, "half.test")).status).toBe(200);
  });

  it("hands websockets through", async () => {
    expect(await upgrade(port, "www.example.com")).toBe("ping");
  });

  it.runIf(file === "haproxy.cfg")("takes a server out that fails its HTTP check", async () => {
    await waitFor("503", async () => (await ask(port, "sick.test")).status === 503, { within: 20_000 });
  });
});
