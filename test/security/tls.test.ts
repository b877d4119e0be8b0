import { copyFileSync, readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { expect, it, onTestFinished } from "vitest";
import { startProcess } from "../cli/process.ts";
import { type Certificate, createAuthority } from "../servers/certificates.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

const soon = { within: 30_000 };
const weak = "DEFAULT@SECLEVEL=0";

/** A server that speaks TLS 1.1 only, and what became of those who came. */
async function serveOld({ cert, key }: Certificate) {
  const came = { welcomed: 0, refused: new Set<string>() };
  const [minVersion, maxVersion] = ["TLSv1.1", "TLSv1.1"] as const;
  const options = { cert: readFileSync(cert), key: readFileSync(key), minVersion, maxVersion, ciphers: weak };
  const server = createServer(options, (socket) => {
    came.welcomed += 1;
    socket.on("error", () => {});
  });
  server.on("tlsClientError", (error: NodeJS.ErrnoException) => void came.refused.add(error.code ?? ""));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { came, port: (server.address() as AddressInfo).port };
}

it("no server that speaks nothing newer than TLS 1.1 is spoken to, whatever Node.js is told to allow", async () => {
  const authority = await createAuthority("old");
  const [server, client] = [await authority.sign("server", ["127.0.0.1"]), await authority.sign("client")];

  // Others would speak to it.
  const { came, port } = await serveOld(server);
  const lenient = { minVersion: "TLSv1", ciphers: weak, rejectUnauthorized: false } as const;
  const other = connect({ host: "127.0.0.1", port, ...lenient });
  await new Promise((resolve) => other.once("secureConnect", resolve));
  expect([other.getProtocol(), came.welcomed]).toEqual(["TLSv1.1", 1]);
  other.on("error", () => {}).destroy();

  const dir = tempDir("tls");
  const files = { ca: authority.ca, ...client };
  for (const [name, file] of Object.entries(files)) copyFileSync(file, join(dir, `${name}.pem`));
  const env = {
    ...{ NODE_OPTIONS: `--tls-min-v1.0 --tls-cipher-list=${weak}` },
    ...{ DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: dir },
  };
  const backend = (scheme: string) => (at: string) => [
    "services",
    `${scheme}+tls://${at}?ca=${authority.ca}`,
  ];
  const docker = (at: string) => ["doctor", "--docker", `tcp://${at}`];
  await Promise.all(
    [...["consul", "etcd", "zookeeper"].map(backend), docker].map(async (words) => {
      const old = await serveOld(server);
      const line = words(`127.0.0.1:${old.port}`);
      const { child } = startProcess(line, dir, env);
      await waitFor(line.join(" "), () => old.came.refused.size > 0, soon);
      child.kill("SIGKILL");
      expect(old.came).toEqual({ welcomed: 0, refused: new Set(["ERR_SSL_UNSUPPORTED_PROTOCOL"]) });
    }),
  );
}, 60_000);
