// Before the first test: the real servers are installed and started once for the whole run.
import type { TestProject } from "vitest/node";
import { startConsul } from "./servers/consul.ts";
import { startDockerHost } from "./servers/docker.ts";
import { startEtcd } from "./servers/etcd.ts";
import { importWebImage } from "./servers/image.ts";
import { allServers, ensureInstalled } from "./servers/install.ts";
import { cleanLeftovers } from "./servers/leftovers.ts";
import { startZooKeeper } from "./servers/zookeeper.ts";

declare module "vitest" {
  /** What `inject` gives to tests: the servers that all of them share. */
  interface ProvidedContext {
    readonly etcd: { readonly url: string; readonly host: string; readonly port: number };
    readonly consul: {
      readonly url: string;
      readonly host: string;
      readonly port: number;
      readonly node: string;
    };
    readonly zookeeper: { readonly address: string; readonly host: string; readonly port: number };
    /** Give it to `dockerCli` to drive it. The web image is there. */
    readonly docker: {
      readonly socket: string;
      readonly dockerHost: string;
      readonly address: string;
      readonly netns: string;
      readonly enter: readonly string[];
    };
  }
}

/** Starts the shared servers; returns what ends them, and what test files left behind, after the last test. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await step("leftovers of old runs", cleanLeftovers);
  await step("installed programs", () => ensureInstalled(allServers));
  const starting = [
    step("etcd", startEtcd).then((etcd) => {
      const { url, host, port } = etcd;
      project.provide("etcd", { url, host, port });
      return etcd;
    }),
    step("consul", startConsul).then((consul) => {
      const { url, host, port, node } = consul;
      project.provide("consul", { url, host, port, node });
      return consul;
    }),
    step("zookeeper", startZooKeeper).then((zookeeper) => {
      const { address, host, port } = zookeeper;
      project.provide("zookeeper", { address, host, port });
      return zookeeper;
    }),
    step("docker, with the web image", startDocker).then((docker) => {
      const { socket, dockerHost, address, netns, enter } = docker;
      project.provide("docker", { socket, dockerHost, address, netns, enter });
      return docker;
    }),
  ];
  const teardown = async (): Promise<void> => {
    const started = (await Promise.allSettled(starting)).flatMap((one) =>
      one.status === "fulfilled" ? one.value : [],
    );
    await Promise.all(started.map((server) => server.stop()));
    await cleanLeftovers();
  };
  try {
    await Promise.all(starting);
  } catch (error) {
    await teardown();
    throw error;
  }
  return () => step("servers ended", teardown);
}

async function startDocker(): Promise<Awaited<ReturnType<typeof startDockerHost>>> {
  const host = await startDockerHost();
  await importWebImage(host);
  return host;
}

/** Does `work`, and says on stderr how long it took. */
async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  process.stderr.write(`test servers: ${what}: ${Math.round(performance.now() - start)} ms\n`);
  return result;
}
