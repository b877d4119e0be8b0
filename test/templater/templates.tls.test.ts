import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, get, type IncomingMessage, type Server } from "node:http";
import { connect, createServer as createHttp2Server, type Http2Server } from "node:http2";
import { get as getSecurely } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadTemplate } from "../../src/templater/load.ts";
import { renderTemplate } from "../../src/templater/render.ts";
import { exec } from "../servers/exec.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import type { TestServer } from "../servers/server.ts";
import { waitFor } from "../servers/wait.ts";
import { frontProxies } from "./front-proxies.ts";
import { instance, worldOf } from "./golden/world.ts";

describe.each(frontProxies)("TLS through $file", ({ file, start }) => {
  let app: Server;
  let rpc: Http2Server;
  let proxy: TestServer | undefined;
  let [plain, secure] = [0, 0];
  let certs = "";

  beforeAll(async () => {
    [plain, secure] = [await freePort(), await freePort()];
    const appPort = await freePort();
    app = createServer((asked, answer) => {
      answer.end(`${asked.headers["x-forwarded-proto"]} ${asked.headers["x-forwarded-port"]}`);
    });
    await new Promise<void>((resolve) => app.listen(appPort, "127.0.0.1", resolve));
    const rpcPort = await freePort();
    rpc = createHttp2Server((asked, answer) => {
      answer.addTrailers({ "grpc-status": "0" });
      answer.end(`${asked.httpVersion} ${asked.authority} ${asked.headers["x-forwarded-for"]}`);
    });
    await new Promise<void>((resolve) => rpc.listen(rpcPort, "127.0.0.1", resolve));

    const dir = tempDir("tls");
    mkdirSync(join(dir, "temp"));
    // nginx's workers are not root, and folders of tests are for nobody else.
    certs = mkdtempSync(join(tmpdir(), "portolan-certs-"));
    chmodSync(certs, 0o755);
    for (const host of ["www.example.com", "_.example.com"]) {
      const [key, certificate] = [join(dir, "key"), join(dir, "certificate")];
      const subject = ["-subj", `/CN=${host}`, "-addext", `subjectAltName=DNS:${host.replace("_", "*")}`];
      const out = ["-keyout", key, "-out", certificate];
      await exec("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", ...subject, ...out]);
      if (file === "nginx.conf") {
        copyFileSync(certificate, join(certs, `${host}.crt`));
        copyFileSync(key, join(certs, `${host}.key`));
        chmodSync(join(certs, `${host}.key`), 0o644);
      } else {
        const pem = readFileSync(certificate, "utf8") + readFileSync(key, "utf8");
        writeFileSync(join(certs, `${host}.pem`), pem);
      }
    }

    const web = (http_host: string, service: string, meta = {}) =>
      instance({ service, address: "127.0.0.1", port: appPort, meta: { http_host, ...meta } });
    const env = {
      PORTOLAN_HTTP_BIND: `127.0.0.1:${plain}`,
      PORTOLAN_HTTPS_BIND: `127.0.0.1:${secure}`,
      PORTOLAN_TLS_CERTS: certs,
      PORTOLAN_HAPROXY_SOCKET: join(dir, "admin.sock"),
      PORTOLAN_NGINX_PID: "off",
      PORTOLAN_NGINX_ERROR_LOG: "stderr",
      PORTOLAN_NGINX_TEMP: "temp",
    };
    const instances = [
      web("www.example.com,nobody.test", "web"),
      web("*.example.com", "any"),
      instance({
        service: "rpc",
        address: "127.0.0.1",
        port: rpcPort,
        meta: { http_host: "www.example.com", http_path: "/orders.", http_proto: "h2", http_check: "/" },
      }),
      web("www.example.com", "acme", { http_path: "/.well-known/acme-challenge/" }),
    ];
    const template = await loadTemplate(join(import.meta.dirname, `../../templates/${file}.hbs`));
    const rendered = renderTemplate(template, worldOf(instances, env));
    if (rendered.status !== "rendered") throw new Error("waiting");
    const config = join(dir, file);
    writeFileSync(config, rendered.text);
    proxy = await start(config, dir);
    const isUp = async () => (await ask(false, "www.example.com")).statusCode === 301;
    await waitFor("the proxy's first answer", isUp, { within: 10_000 });
  });

  afterAll(async () => {
    await proxy?.stop();
    app.closeAllConnections();
    app.close();
    rpc.close();
    if (certs !== "") rmSync(certs, { recursive: true });
  });

  const ask = (tls: boolean, host: string, path = "/") =>
    new Promise<IncomingMessage & { text?: string }>((resolve, reject) => {
      const options = { host: "127.0.0.1", path, headers: { host }, agent: false as const, timeout: 5000 };
      const read = (answer: IncomingMessage & { text?: string }) => {
        answer.text = "";
        answer.setEncoding("utf8").on("data", (text: string) => {
          answer.text += text;
        });
        answer.on("end", () => resolve(answer));
      };
      const asked = tls
        ? getSecurely({ ...options, port: secure, servername: host, rejectUnauthorized: false }, read)
        : get({ ...options, port: plain }, read);
      asked.on("error", reject);
      asked.on("timeout", () => asked.destroy(new Error("no answer")));
    });

  it("serves with HSTS", async () => {
    const answer = await ask(true, "www.example.com");
    expect(answer.text).toBe(`https ${secure}`);
    expect(answer.headers["strict-transport-security"]).toBe("max-age=31536000");
  });

  it.each([
    ["www.example.com", "www.example.com"],
    ["other.example.com", "_.example.com"],
  ])("chooses the certificate for %s by the client's host", async (host, name) => {
    const said = await exec("sh", [
      "-c",
      `echo | openssl s_client -connect 127.0.0.1:${secure} -servername ${host} 2>/dev/null | openssl x509 -noout -subject`,
    ]);
    expect(said).toContain(`CN = ${name}`);
  });

  it("speaks HTTP/2 to the servers that ask for it, as gRPC needs", async () => {
    const session = connect(`https://127.0.0.1:${secure}`, {
      servername: "www.example.com",
      rejectUnauthorized: false,
    });
    const stream = session.request({
      ":method": "POST",
      ":path": "/orders.Orders/Get",
      ":authority": "www.example.com",
      "content-type": "application/grpc",
      te: "trailers",
    });
    const trailers = new Promise((resolve, reject) => {
      stream.once("trailers", resolve);
      for (const one of [session, stream]) one.on("error", reject);
      stream.once("close", () => reject(new Error("no trailers")));
    });
    let text = "";
    stream.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
    stream.end("question");
    expect(await trailers).toMatchObject({ "grpc-status": "0" });
    expect(text).toBe("2.0 www.example.com 127.0.0.1");
    session.close();
  });

  it("sends http to https, but for ACME's challenges", async () => {
    const answer = await ask(false, "www.example.com", "/a?b=c");
    expect([answer.statusCode, answer.headers.location]).toEqual([301, "https://www.example.com/a?b=c"]);
    expect(answer.headers["strict-transport-security"]).toBeUndefined();
    const challenge = await ask(false, "www.example.com", "/.well-known/acme-challenge/x");
    expect([challenge.statusCode, challenge.text]).toEqual([200, `http ${plain}`]);
  });

  it.runIf(file === "nginx.conf")("refuses hosts without a certificate, and nobody else", async () => {
    await expect(ask(true, "nobody.test")).rejects.toThrowError();
    await expect(ask(true, "unknown.test")).rejects.toThrowError();
    expect((await ask(true, "www.example.com")).statusCode).toBe(200);
  });
});
