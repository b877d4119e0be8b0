import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { prepareProxy } from "../e2e/proxy-under-test.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { type SoakDaemon, startDaemon } from "./daemon.ts";
import { type Fleet, type FleetSize, label, startFleet } from "./fleet.ts";
import type { BackendName } from "./options.ts";
import { type SoakStore, startSoakStore } from "./store.ts";

/** What the templater keeps up to date. */
export interface SoakTarget {
  /** The product's configuration file. */
  readonly config: string;
  /** The live file. */
  readonly destination: string;
  readonly env: Readonly<Record<string, string>>;
  /** A command line that checks the live file. */
  readonly check: readonly string[];
}

/** Docker with containers, backend, registrator, templater, load balancer. */
export interface World {
  readonly cli: string;
  readonly host: DockerHost;
  readonly fleet: Fleet;
  readonly store: SoakStore;
  readonly registrator: SoakDaemon;
  readonly templater: SoakDaemon;
  readonly target: SoakTarget;
  stop(): Promise<void>;
}

/** Starts all of it. Records live shortly, and are read again often, so that both come to pass. */
export async function startWorld(cli: string, backend: BackendName, size: FleetSize): Promise<World> {
  const [host, store, proxy] = await Promise.all([
    // A process for each published port would fill the machine; the kernel forwards as well.
    startDockerHost({ liveRestore: true, args: size.containers > 100 ? ["--userland-proxy=false"] : [] }),
    startSoakStore(backend),
    prepareProxy("haproxy"),
  ]);
  const fleet = await startFleet(host, size);
  const config = join(tempDir("soak-config"), "portolan.yaml");
  const reload = { signal: { name: proxy.signal, pidfile: proxy.pidFile } };
  const template = { source: proxy.template, destination: proxy.config, check: proxy.check, reload };
  writeFileSync(config, stringify({ node: "soak", templater: { templates: [template] } }));

  const docker = ["--docker", host.dockerHost, "--ip", host.address, "--select", `${label}=1`];
  const timing = ["--ttl", "4s", "--resync", "5s"];
  const [registrator, templater] = await Promise.all([
    startDaemon(cli, "registrator", [...docker, ...timing, "--node", "soak", store.url]),
    startDaemon(cli, "templater", ["--config", config, store.url], proxy.env),
  ]);
  await waitFor("the first rendered file", () => readFileSync(proxy.config, "utf8"), { within: 30_000 });
  const balancer = await proxy.start();
  return {
    cli,
    host,
    fleet,
    store,
    registrator,
    templater,
    target: {
      config,
      destination: proxy.config,
      env: proxy.env,
      check: proxy.check.map((word) => word.replace("{{src}}", proxy.config)),
    },
    async stop() {
      await Promise.all([registrator.stop(), templater.stop(), balancer.stop()]);
      await Promise.all([store.stop(), host.stop()]);
    },
  };
}
