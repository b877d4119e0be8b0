// What containers are replaced on: a Docker, a registrator, a registry, a templater, a load balancer.
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { decodeAcknowledgement } from "../../src/acknowledgement.ts";
import { openBackend } from "../../src/backends/index.ts";
import type { Instance } from "../../src/instance.ts";
import type { DockerHost } from "../servers/docker.ts";
import { importWebImage, webImage } from "../servers/image.ts";
import { executable } from "../servers/programs.ts";
import { tempDir } from "../servers/run.ts";
import type { TestServer } from "../servers/server.ts";
import { waitFor } from "../servers/wait.ts";
import { startProgram } from "./program.ts";
import { type ProxyName, type ProxyUnderTest, prepareProxy } from "./proxy-under-test.ts";

/** The virtual host that the containers answer for. */
export const page = "web.test";

/** How the load balancer is told of changes: HAProxy by its runtime API, nginx by a reload. */
export interface Balancer {
  readonly proxy: ProxyUnderTest;
  /** On which it listens, at 127.0.0.1. */
  readonly port: number;
  /** Whether clients' connections outlive a change: those that are idle end with a reload. */
  readonly keepsConnections: boolean;
  readonly server: TestServer;
  readonly templater: TestServer;
}

/** Everything that is needed to replace containers under load. */
export interface RolloutStage {
  readonly url: string;
  /** The label of the containers that its registrator sees, with its value. */
  readonly mark: string;
  /** Options of `portolan stop` and `rollout` on this stage. */
  readonly options: readonly string[];
  /** A script that replaces the container of which it is told by another one of the same name. */
  readonly replace: string;
  /** Starts a templater and a load balancer of its own, and waits until it serves the page. */
  balance(name: ProxyName): Promise<Balancer>;
  /** Starts a container of the service `web`, and waits until it is ready. */
  web(name: string): Promise<void>;
  /** The records of a service (`web`), as a reader of the registry sees them now. */
  records(service?: string): readonly Instance[];
  stop(): Promise<void>;
}

/**
 * A web server that answers GET with its host name and POST with what was posted, keeps connections open, and ends
 * at once at its stop signal, whatever it has in hand.
 */
const server = `
const { createServer } = require("node:http");
const { hostname } = require("node:os");
process.on("SIGTERM", () => process.exit(0));
createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const answer = request.method === "POST" ? Buffer.concat(chunks) : hostname();
    setTimeout(() => response.end(answer), 3);
  });
}).listen(8080);
`;

/** What a stage is made of; by default its registry is a folder, and requests in flight get 200 ms. */
export interface StageOptions {
  /** Tells the containers of one stage from those of another on the same Docker. */
  readonly name?: string;
  /** The registry, empty and of this stage alone. */
  readonly url?: string;
  /** What the containers give to requests in flight. */
  readonly drain?: string;
}

/** Starts everything but a load balancer. */
export async function startRolloutStage(host: DockerHost, options: StageOptions = {}): Promise<RolloutStage> {
  await importWebImage(host);
  const dir = tempDir("rollout");
  const { name: stage = "file", url = `file://${join(dir, "registry")}`, drain = "200ms" } = options;
  writeFileSync(join(dir, "server.cjs"), server);
  const node = `rollout-${stage}`;
  const mark = `portolan.rollout=${stage}`;
  const program = executable("node") ?? process.execPath;
  const readable = ["/usr", "/lib", "/lib64"].flatMap((path) => ["--volume", `${path}:${path}:ro`]);
  const run = [
    ...["run", "--detach", ...readable, "--volume", `${dir}:/app:ro`, "--publish", "8080"],
    ...["--label", mark, "--label", "SERVICE_NAME=web", "--label", `SERVICE_HTTP_HOST=${page}`],
    ...["--label", `SERVICE_DRAIN=${drain}`, "--stop-timeout", "5"],
  ];
  const command = [webImage, program, "/app/server.cjs"];
  const docker = executable("docker") ?? "docker";
  const replace = join(dir, "replace.sh");
  const words = [...run, "--name", '"$1"', "--hostname", '"$1"', ...command].join(" ");
  writeFileSync(
    replace,
    `#!/bin/sh\nset -e\nset -- "$PORTOLAN_CONTAINER"\n${docker} rm --force "$1" > /dev/null\n${docker} ${words} > /dev/null\n`,
  );
  chmodSync(replace, 0o755);
  const where = ["--docker", host.dockerHost, "--node", node];
  const ours = ["--ip", host.address, "--select", mark];
  const registrator = await startProgram("registrator", [...where, ...ours, url]);
  const running: TestServer[] = [registrator];
  const names: string[] = [];
  const backend = await openBackend(url, { env: {} });
  const observation = backend.observe({ services: "all" });
  let balancers = 0;
  /** The names of the templaters whose load balancers have taken the service. */
  const applied = async (): Promise<readonly string[]> => {
    const texts = [...((await backend.notes?.("templaters").list(new AbortController().signal)) ?? [])];
    return texts
      .filter(([name, text]) => decodeAcknowledgement(text, name).applied.has("web"))
      .map(([name]) => name);
  };
  const records = (service = "web"): readonly Instance[] => {
    const now = observation.current();
    return (now.known && now.value.services.get(service)) || [];
  };

  return {
    url,
    mark,
    options: [...where, "--backend", url],
    replace,
    records,
    async web(name) {
      names.push(name);
      await host.docker([...run, "--name", name, "--hostname", name, ...command]);
      const isReady = ({ container, state }: Instance) => container?.name === name && state === "ready";
      await waitFor(`${name} to be ready`, () => records().some(isReady), { within: 20_000 });
    },
    async balance(name) {
      const proxy = await prepareProxy(name);
      const config = join(tempDir("balance"), "portolan.yaml");
      const reload =
        name === "haproxy"
          ? { haproxy: { socket: proxy.env.PORTOLAN_HAPROXY_SOCKET, pidfile: proxy.pidFile } }
          : { nginx: { pidfile: proxy.pidFile } };
      const target = { source: proxy.template, destination: proxy.config, check: proxy.check, reload };
      writeFileSync(config, stringify({ templater: { minInterval: "200ms", templates: [target] } }));
      const templater = await startProgram("templater", ["-c", config, url], proxy.env);
      running.push(templater);
      await waitFor("the file", () => readFileSync(proxy.config, "utf8"), { within: 20_000 });
      const balancer = await proxy.start();
      running.push(balancer);
      await waitFor("the page", async () => (await proxy.get(page)).status === 200, { within: 20_000 });
      // A file that was there before the load balancer counts once that was asked, or reloaded.
      await waitFor("what is applied", async () => (await applied()).length > balancers, { within: 20_000 });
      balancers += 1;
      // A worker of before the first reload may still answer, and closes the connections that it has.
      const workers = () => {
        const master = readFileSync(proxy.pidFile, "utf8").trim();
        return readFileSync(`/proc/${master}/task/${master}/children`, "utf8").trim().split(" ");
      };
      await waitFor("old workers to end", () => workers().length === proxy.workers, { within: 40_000 });
      const port = Number(proxy.env.PORTOLAN_HTTP_BIND?.split(":")[1]);
      return { proxy, port, keepsConnections: name === "haproxy", server: balancer, templater };
    },
    async stop() {
      await backend.close();
      for (const one of running.reverse()) {
        if (one !== registrator) one.resume();
        await one.stop();
      }
      if (names.length > 0) await host.docker(["rm", "--force", ...names]).catch(() => {});
    },
  };
}
