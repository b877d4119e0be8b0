// Portolan's two processes and the load balancer, as an operator would set them up.
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { startHaproxy } from "../../test/servers/haproxy.ts";
import { freePort } from "../../test/servers/ports.ts";
import { startProcess } from "../../test/servers/process.ts";
import { waitFor } from "../../test/servers/wait.ts";
import { demoLabel } from "./containers.ts";
import type { DemoDocker } from "./docker.ts";
import type { Life } from "./life.ts";

const root = join(import.meta.dirname, "../..");

/** A running registrator, templater and HAProxy. */
export interface Pipeline {
  /** Where HAProxy listens, on 127.0.0.1. */
  readonly port: number;
  /** URL of the embedded backend. */
  readonly backend: string;
  /** The configuration file of all Portolan commands. */
  readonly config: string;
  /** The rendered file. */
  readonly haproxyConfig: string;
  readonly registrator: Daemon;
  readonly templater: Daemon;
}

/** One of Portolan's processes. */
export interface Daemon {
  /** Its status address. */
  readonly url: string;
  readonly logFile: string;
}

/** What Portolan is to do. */
export interface Plan {
  /** Options of the registrator, as in the configuration file. */
  readonly registrator: object;
  /** The target, as in the configuration file, without its source, destination and check. */
  readonly target: object;
  /** One of templates/. */
  readonly template: string;
  /** The template's variables. */
  readonly env: Readonly<Record<string, string>>;
  /** Where HAProxy listens on 127.0.0.1, and how that is said. */
  readonly port: number;
  readonly listens: string;
}

/** Where it is all done. */
export interface Place {
  readonly dir: string;
  readonly docker: DemoDocker;
  /** Path of the program. */
  readonly haproxy: string;
}

/** The demo's pipeline: HTTP, by host names. */
export async function startDemoPipeline(life: Life, place: Place): Promise<Pipeline> {
  const port = await freePort();
  return startPipeline(life, place, {
    // Only this demo's containers are registered, at the address at which their ports are published.
    registrator: { ip: "127.0.0.1", select: demoLabel },
    target: { reload: { signal: { name: "USR2", pidfile: join(place.dir, "haproxy.pid") } } },
    template: "haproxy.cfg.hbs",
    env: { PORTOLAN_HTTP_BIND: `127.0.0.1:${port}` },
    port,
    listens: `http://127.0.0.1:${port}`,
  });
}

/** Starts all three below the place's folder and waits until they are in sync. */
export async function startPipeline(
  life: Life,
  { dir, docker, haproxy }: Place,
  plan: Plan,
): Promise<Pipeline> {
  const backend = `file://${join(dir, "registry")}`;
  const config = join(dir, "portolan.yaml");
  const haproxyConfig = join(dir, "haproxy.cfg");
  const target = {
    source: join(root, "templates", plan.template),
    destination: haproxyConfig,
    check: [haproxy, "-c", "-f", "{{src}}"],
    ...plan.target,
  };
  writeFileSync(
    config,
    stringify({
      backend,
      docker: docker.url,
      registrator: { node: "demo", ...plan.registrator },
      templater: { templates: [target] },
    }),
  );
  const env = { PORTOLAN_HAPROXY_SOCKET: join(dir, "admin.sock"), ...plan.env };

  const start = (command: "registrator" | "templater") => startDaemon(life, command, { dir, config, env });
  const registrator = await life.step(
    "portolan registrator",
    async () => {
      const daemon = await start("registrator");
      await waitFor("the registrator to be in sync", () => isReady(daemon), { within: 60_000 });
      return daemon;
    },
    ({ url }) => `its status: ${url}/status`,
  );
  const templater = await life.step(
    "portolan templater",
    async () => {
      const daemon = await start("templater");
      await waitFor("the first rendered file", () => existsSync(haproxyConfig), { within: 60_000 });
      return daemon;
    },
    ({ url }) => `its status: ${url}/status`,
  );
  await life.step(
    "HAProxy, master-worker",
    async () => {
      const balancer = await startHaproxy({ config: haproxyConfig, dir });
      life.atEnd("HAProxy", balancer.stop);
      life.needs("HAProxy", balancer.isRunning);
      await waitFor("the templater to be in sync", () => isReady(templater), { within: 60_000 });
    },
    () => `listens on ${plan.listens}`,
  );
  return { port: plan.port, backend, config, haproxyConfig, registrator, templater };
}

/** Starts the built executable and waits until it answers on its status address. */
async function startDaemon(
  life: Life,
  command: "registrator" | "templater",
  given: { readonly dir: string; readonly config: string; readonly env: Readonly<Record<string, string>> },
): Promise<Daemon> {
  const { dir, config, env } = given;
  const address = `127.0.0.1:${await freePort()}`;
  const url = `http://${address}`;
  const logFile = join(dir, `${command}.log`);
  const server = await startProcess({
    name: `portolan ${command}`,
    command: process.execPath,
    args: [
      ...[join(root, "dist/cli.js"), command, "--config", config],
      ...["--listen", address, "--state-dir", join(dir, `${command}-state`), "--log-format", "json"],
    ],
    env,
    logFile,
    ready: async () => (await fetch(`${url}/healthz`)).ok,
  });
  life.atEnd(`portolan ${command}`, server.stop);
  life.needs(`portolan ${command}`, server.isRunning);
  return { url, logFile };
}

/** @throws the reasons, when it is not in sync */
async function isReady({ url }: Daemon): Promise<boolean> {
  const answer = await fetch(`${url}/readyz`);
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return true;
}
