import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monotonic, pause } from "./clock.ts";
import { keepCompiled, loadCompiled } from "./compiled.ts";

// Has V8 compile what starts need, and keeps that beside the program: `node dist/compile-ahead.js`, after each build and in
// each image. It is good for the version of Node.js and the kind of processor that it ran on; elsewhere starts compile what
// they need, as they do with all that is never called here.

const { runCommandLine } = loadCompiled("program.cjs") as typeof import("./program.ts");

/** Nobody listens there: each client is loaded, and refused until somebody stops it. */
const backends = [
  "consul://127.0.0.1:1",
  "consulkv://127.0.0.1:1/a",
  "etcd://127.0.0.1:1",
  "zookeeper://127.0.0.1:1",
];

const networks = { bridge: { IPAddress: "172.17.0.2", GlobalIPv6Address: "" } };
const since = "2026-01-01T00:00:00Z";
/** A Docker with one container. To all else it says nothing, as to who listens for events. */
const answers: Readonly<Record<string, unknown>> = {
  "/version": { ApiVersion: "1.41", MinAPIVersion: "1.12" },
  "/info": { ID: "none", Name: "none" },
  "/containers/json": [{ Id: "one", Names: ["/one"], State: "running", Status: "Up 1 second" }],
  "/containers/one/json": {
    Id: "one",
    Name: "/one",
    Created: since,
    State: { Running: true, Paused: false, Restarting: false, Dead: false, StartedAt: since },
    Config: { Image: "web", Labels: { SERVICE_NAME: "web" }, Env: ["SERVICE_TAGS=a"], StopSignal: "SIGTERM" },
    HostConfig: { NetworkMode: "default" },
    NetworkSettings: { Networks: networks, Ports: { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "8080" }] } },
  },
};

/** ms after which a command is stopped in any case. */
const patience = 30_000;

void main();

async function main(): Promise<void> {
  try {
    await callAll(mkdtempSync(join(tmpdir(), "portolan-compile-")));
    keepCompiled();
  } catch (error) {
    // All works without.
    console.error(`Nothing is compiled ahead, so that starts take longer: ${error}`);
  }
  process.exit();
}

/** Runs what most starts call, in a folder of its own, which is gone afterwards. */
async function callAll(folder: string): Promise<void> {
  const config = join(folder, "portolan.yaml");
  const socket = join(folder, "docker.sock");
  const target = {
    source: join(import.meta.dirname, "../templates/haproxy.cfg.hbs"),
    destination: join(folder, "haproxy.cfg"),
    reload: "none",
  };
  writeFileSync(config, JSON.stringify({ templater: { templates: [target] } }));
  const server = createServer(answer).listen(socket);
  const daemon = ["--config", config, "--listen", "127.0.0.1:0", "--state-dir", join(folder, "state")];
  const docker = ["--docker", `unix://${socket}`, "--ip", "127.0.0.1"];
  const rendered = () => existsSync(target.destination);
  try {
    for (const backend of backends) {
      const refused = monotonic() + 300;
      await run(["services", backend], folder, () => monotonic() > refused);
    }
    await run(["agent", ...daemon, ...docker, "memory:"], folder, rendered);
    rmSync(target.destination, { force: true });
    await run(["templater", ...daemon, `file://${folder}/registry`], folder, rendered);
  } finally {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function answer({ url = "" }: IncomingMessage, response: ServerResponse): void {
  const said = answers[new URL(url, "http://docker").pathname.replace(/^\/v[\d.]+/, "")];
  response.writeHead(200, { "Content-Type": "application/json" });
  if (said === undefined) response.flushHeaders();
  else response.end(JSON.stringify(said));
}

/** Runs a command of the program in this process until it ends, or has done what it is run for. */
async function run(argv: readonly string[], cwd: string, isDone: () => boolean): Promise<void> {
  const stop = new AbortController();
  const latest = monotonic() + patience;
  let over = false;
  const ended = runCommandLine([...argv, "--log-level", "error"], {
    version: "",
    env: { PORTOLAN_HTTP_BIND: "127.0.0.1:80", PORTOLAN_HAPROXY_SOCKET: "/run/haproxy/admin.sock" },
    cwd,
    terminal: false,
    print: () => {},
    say: () => {},
    stop: stop.signal,
    hurry: stop.signal,
    linger: () => {},
    onReload: () => {},
    knows: () => {},
    started: () => {},
  }).finally(() => {
    over = true;
  });
  while (!over && !isDone() && monotonic() < latest) await pause(20);
  stop.abort();
  await ended;
}
