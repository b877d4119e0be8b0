import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { type DockerCli, dockerCli } from "../servers/docker.ts";
import { runWeb, type WebContainer, type WebOptions } from "../servers/image.ts";
import { tempDir } from "../servers/run.ts";
import type { TestServer } from "../servers/server.ts";
import { waitFor } from "../servers/wait.ts";
import { type Program, startProgram } from "./program.ts";
import { type Answer, type ProxyName, type ProxyUnderTest, prepareProxy } from "./proxy-under-test.ts";

/** Where a pipeline under test lives. */
export interface PipelineOptions {
  /** `memory:` runs one agent, any other URL a registrator and a templater. */
  readonly backend: string;
  readonly proxy: ProxyName;
  readonly docker: { readonly socket: string; readonly address: string };
  /** Keeps the containers and records of this pipeline apart from those of others on the same servers. */
  readonly name: string;
  /** Changes the target of the templater's configuration file. */
  readonly target?: Readonly<Record<string, unknown>>;
}

/** A whole pipeline: containers, registrator, backend, templater, load balancer. */
export interface Pipeline {
  readonly node: string;
  readonly docker: DockerCli;
  readonly proxy: ProxyUnderTest;
  readonly balancer: TestServer;
  /** The same program twice with an agent. */
  readonly registrator: Program;
  readonly templater: Program;
  /** Options that start another registrator for this pipeline. */
  registratorArgs(over?: Readonly<Record<string, string>>): string[];
  /** Runs a web container of this pipeline that answers its name as `<name>.test`. */
  web(name: string, options?: WebOptions): Promise<WebContainer>;
  get(host: string): Promise<Answer>;
  /** Waits until a virtual host answers like this; deadline in ms. */
  answers(host: string, expected: Partial<Answer>, within?: number): Promise<void>;
  config(): string;
  /** Pids of the load balancer's worker processes. */
  workers(): readonly string[];
  ready(): Promise<void>;
  /** Removes all containers of this pipeline, and waits until no page of theirs is served any more. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

/** Ten times the bound of one second that the product promises for traffic to follow. */
export const patience = 10_000;

/** Starts everything and waits until it is in sync. */
export async function startPipeline(options: PipelineOptions): Promise<Pipeline> {
  const docker = dockerCli(options.docker);
  const proxy = await prepareProxy(options.proxy);
  const dir = tempDir("pipeline");
  const node = `node-${options.name}`;
  const label = "portolan.e2e";
  const file = join(dir, "portolan.yaml");
  writeFileSync(
    file,
    stringify({
      templater: {
        templates: [
          {
            source: proxy.template,
            destination: proxy.config,
            check: proxy.check,
            reload: { signal: { name: proxy.signal, pidfile: proxy.pidFile } },
            ...options.target,
          },
        ],
      },
    }),
  );
  const registratorArgs = (over: Readonly<Record<string, string>> = {}) =>
    Object.entries({
      docker: `unix://${options.docker.socket}`,
      node,
      ip: options.docker.address,
      select: `${label}=${options.name}`,
      ttl: "4s",
      resync: "5s",
      ...over,
    }).flatMap(([name, value]) => [`--${name}`, value]);

  let registrator: Program;
  let templater: Program;
  if (options.backend === "memory:") {
    registrator = await startProgram("agent", ["-c", file, ...registratorArgs(), options.backend], proxy.env);
    templater = registrator;
  } else {
    [registrator, templater] = await Promise.all([
      startProgram("registrator", [...registratorArgs(), options.backend]),
      startProgram("templater", ["-c", file, options.backend], proxy.env),
    ]);
  }
  await waitFor("the first rendered file", () => readFileSync(proxy.config, "utf8"), { within: 30_000 });
  const balancer = await proxy.start();
  const containers: { readonly container: WebContainer; readonly page: string }[] = [];

  const pipeline: Pipeline = {
    node,
    docker,
    proxy,
    balancer,
    registrator,
    templater,
    registratorArgs,
    async web(name, web = {}) {
      const container = await runWeb(docker, {
        name: `${options.name}-${name}`,
        publish: ["80"],
        ...web,
        labels: {
          [label]: options.name,
          SERVICE_NAME: `${options.name}-${name}`,
          SERVICE_HTTP_HOST: `${name}.test`,
          ...web.labels,
        },
      });
      containers.push({ container, page: `${name}.test` });
      return container;
    },
    get: (host) => proxy.get(host),
    async answers(host, expected, within = patience) {
      let patienceOfLook = 200;
      await waitFor(
        `${host} to answer ${JSON.stringify(expected)}`,
        async () => {
          // HAProxy holds a request for seconds whose server has just gone, and answers the next one at once.
          patienceOfLook = Math.min(2 * patienceOfLook, 5000);
          const answer = await proxy.get(host, patienceOfLook);
          const matches = Object.entries(expected).every(
            ([key, value]) => answer[key as keyof Answer] === value,
          );
          if (!matches) throw new Error(JSON.stringify(answer));
          return true;
        },
        { within },
      );
    },
    config: () => readFileSync(proxy.config, "utf8"),
    workers() {
      const master = readFileSync(proxy.pidFile, "utf8").trim();
      return readFileSync(`/proc/${master}/task/${master}/children`, "utf8").trim().split(" ");
    },
    async ready() {
      for (const program of new Set([registrator, templater])) {
        await waitFor(
          "the program to be ready",
          async () => {
            const reasons = await program.notReady();
            if (reasons !== "") throw new Error(reasons);
            return true;
          },
          { within: 30_000 },
        );
      }
    },
    async clear() {
      const gone = containers.splice(0);
      await Promise.all(gone.map(({ container }) => container.remove().catch(() => {})));
      for (const { page } of gone) await pipeline.answers(page, { status: 404 });
    },
    async stop() {
      await Promise.all(containers.map(({ container }) => container.remove().catch(() => {})));
      await Promise.all([registrator.stop(), templater.stop(), balancer.stop()]);
    },
  };
  await pipeline.ready();
  return pipeline;
}
