import { writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { type Program, startProgram } from "../e2e/program.ts";
import { dockerCli } from "../servers/docker.ts";
import { type Haproxy, startHaproxy } from "../servers/haproxy.ts";
import { runWeb, type WebContainer } from "../servers/image.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

let socketPath: string;
let haproxy: Haproxy;
let registrator: Program | undefined;
let web: WebContainer | undefined;
beforeAll(async () => {
  const dir = tempDir("read-only");
  socketPath = join(dir, "docker.sock");
  const places = join(dir, "places.cfg");
  const { socket } = inject("docker");
  writeFileSync(places, `global\n setenv DOCKER_SOCKET ${socket}\n setenv READ_ONLY_SOCKET ${socketPath}\n`);
  const example = join(import.meta.dirname, "../../examples/socket-proxy/haproxy.cfg");
  haproxy = await startHaproxy({ config: places, args: ["-f", example] });
});
afterAll(async () => {
  await registrator?.stop();
  await web?.remove();
  await haproxy?.stop();
});

function status(method: string, path: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, headers, agent: false }, (answer) => {
      answer.destroy();
      resolve(answer.statusCode ?? 0);
    });
    asked.on("upgrade", (answer, socket) => {
      socket.destroy();
      resolve(answer.statusCode ?? 0);
    });
    asked.on("error", reject);
    asked.end();
  });
}

it.each([
  "/_ping",
  "/version",
  "/v1.41/info",
  "/v1.41/containers/json?all=1",
  "/networks",
  "/v1.41/networks/bridge",
])("lets GET %s through", async (path) => {
  expect(await status("GET", path)).toBe(200);
});

it.each([
  ["POST", "/containers/create"],
  ["POST", "/v1.41/containers/json"],
  ["DELETE", "/containers/one"],
  ["PUT", "/containers/one/archive"],
  ["HEAD", "/containers/one/archive"],
  ["GET", "/containers/one/logs"],
  ["GET", "/containers/one/export"],
  ["GET", "/containers/one/../json"],
  ["GET", "/images/json"],
  ["GET", "/v1.41/secrets"],
  ["GET", "//containers/json"],
])("refuses %s %s", async (method, path) => {
  expect(await status(method, path)).toBe(403);
});

it("refuses another protocol, in which nobody would see what is asked", async () => {
  for (const upgrade of ["h2c", "tcp"])
    expect(await status("GET", "/_ping", { connection: "upgrade", upgrade })).toBe(403);
});

it("is enough for a registrator, which sees what changes at once", async () => {
  const { address } = inject("docker");
  const registry = `file://${tempDir("registry")}`;
  registrator = await startProgram("registrator", [
    ...["--docker", `unix://${socketPath}`, "--ip", address, "--select", "portolan.read-only", registry],
  ]);
  const wanted = async () => JSON.stringify(await registrator?.status());
  await waitFor("in sync", async () => (await registrator?.notReady()) === "", { within: 20_000 });
  web = await runWeb(dockerCli(inject("docker")), {
    name: "read-only-web",
    publish: ["80"],
    labels: { "portolan.read-only": "1" },
  });
  await waitFor("the record", async () => (await wanted()).includes("read-only-web:80"), { within: 10_000 });
});
