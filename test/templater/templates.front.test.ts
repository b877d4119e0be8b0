// A load balancer in front that speaks the PROXY protocol, and clients that show certificates.
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectSecurely } from "node:tls";
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

const host = "www.example.com";
const client = "192.0.2.7";

/** What the answer to `GET /` is, once the connection has ended; empty when there is none. */
function ask(socket: Socket): Promise<string> {
  socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  return new Promise((resolve) => {
    let text = "";
    socket.setTimeout(5_000, () => socket.destroy());
    socket.on("data", (bytes) => {
      text += bytes;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(text));
  });
}

describe.each(frontProxies)("behind another proxy: $file", ({ file, start }) => {
  let app: Server;
  let proxy: TestServer | undefined;
  let [plain, secure] = [0, 0];
  let certs = "";
  const pem = (name: string) => readFileSync(join(certs, name));

  beforeAll(async () => {
    [plain, secure] = [await freePort(), await freePort()];
    const port = await freePort();
    app = createServer((asked, answer) => void answer.end(`for ${asked.headers["x-forwarded-for"]}`));
    await new Promise<void>((resolve) => app.listen(port, "127.0.0.1", resolve));
    const dir = tempDir("front");
    mkdirSync(join(dir, "temp"));
    // nginx's workers are not root, and folders of tests are for nobody else.
    certs = mkdtempSync(join(tmpdir(), "portolan-front-"));
    chmodSync(certs, 0o755);
    for (const name of [host, "other"]) {
      const [key, certificate] = [join(certs, `${name}.key`), join(certs, `${name}.crt`)];
      const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
      const subject = ["-subj", `/CN=${name}`, "-keyout", key, "-out", certificate];
      await exec("openssl", ["req", "-x509", ...kind, ...subject]);
      chmodSync(key, 0o644);
    }
    mkdirSync(join(certs, "pem"));
    writeFileSync(join(certs, "pem/www.pem"), Buffer.concat([pem(`${host}.crt`), pem(`${host}.key`)]));
    copyFileSync(join(certs, `${host}.crt`), join(certs, "ca.pem"));
    const env = {
      PORTOLAN_HTTP_BIND: `127.0.0.1:${plain}`,
      PORTOLAN_HTTPS_BIND: `127.0.0.1:${secure}`,
      PORTOLAN_HTTPS_METHOD: "noredirect",
      PORTOLAN_TLS_CERTS: file === "nginx.conf" ? certs : join(certs, "pem"),
      PORTOLAN_TLS_CLIENT_CA: join(certs, "ca.pem"),
      PORTOLAN_PROXY_PROTOCOL: "192.0.2.1, 127.0.0.1",
      PORTOLAN_HAPROXY_SOCKET: join(dir, "admin.sock"),
      PORTOLAN_NGINX_PID: "off",
      PORTOLAN_NGINX_ERROR_LOG: "stderr",
      PORTOLAN_NGINX_TEMP: "temp",
    };
    const template = await loadTemplate(join(import.meta.dirname, `../../templates/${file}.hbs`));
    const web = instance({ address: "127.0.0.1", port, meta: { http_host: host } });
    const rendered = renderTemplate(template, worldOf([web], env));
    if (rendered.status !== "rendered") throw new Error("waiting");
    const config = join(dir, file);
    writeFileSync(config, rendered.text);
    proxy = await start(config, dir);
    const isUp = async () => (await ask(await front(plain))).includes("200 OK");
    await waitFor("the proxy's first answer", isUp, { within: 10_000 });
  });

  afterAll(async () => {
    await proxy?.stop();
    app.closeAllConnections();
    app.close();
    if (certs !== "") rmSync(certs, { recursive: true });
  });

  /** A connection from an address of this host that tells of a client. */
  async function front(port: number, localAddress = "127.0.0.1"): Promise<Socket> {
    const socket = connect({ host: "127.0.0.1", port, localAddress });
    socket.on("error", () => {});
    socket.write(`PROXY TCP4 ${client} 127.0.0.1 40000 ${port}\r\n`);
    return socket;
  }

  /** The same, which then speaks TLS with this certificate. */
  async function secured(name?: string): Promise<string> {
    const own = name === undefined ? {} : { cert: pem(`${name}.crt`), key: pem(`${name}.key`) };
    const options = { socket: await front(secure), servername: host, rejectUnauthorized: false, ...own };
    return ask(connectSecurely(options));
  }

  it("believes the one in front, and nobody else, who the client is", async () => {
    expect(await ask(await front(plain))).toContain(`for ${client}`);
    expect(await ask(await front(plain, "127.0.0.2"))).not.toContain(`for ${client}`);
  });

  it("serves clients that show a certificate of the authority, and no others", async () => {
    expect(await secured(host)).toContain(`for ${client}`);
    for (const name of [undefined, "other"]) expect(await secured(name)).not.toContain("200 OK");
  });
});
