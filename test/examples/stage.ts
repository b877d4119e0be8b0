// A Docker host on which the commands of the examples are run as they stand in their READMEs.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { installCompose } from "../servers/compose.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { exec } from "../servers/exec.ts";
import { get } from "../servers/http.ts";
import { importWebImage, webImage } from "../servers/image.ts";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { copyBuilt } from "./checkout.ts";
import { importMachineImage, importNode } from "./machine-image.ts";

/** Where the examples are run. */
export interface Stage extends DockerHost {
  /** A checkout in which everything is built, with the packages that the program needs to run. */
  readonly checkout: string;
  /** The folder of its `docker`. */
  readonly bin: string;
  /** Runs shell commands on the host, in the folder of an example, and returns what they printed. */
  shell(example: string, commands: string, env?: Readonly<Record<string, string>>): Promise<string>;
  /** Waits until a port of the host (80) answers for a virtual host with this page, or with this status if it is none. */
  serves(host: string, expected: string | number, port?: number): Promise<void>;
}

/**
 * Starts a host whose Docker has the public images that Dockerfiles and compose files name. Each is made of this
 * machine's own programs; the web server is busybox's.
 */
export async function startStage(): Promise<Stage> {
  const checkout = tempDir("checkout");
  const [host, bin, programs] = await Promise.all([
    startDockerHost({ inMemory: true }),
    installCompose(),
    ensureInstalled(["haproxy", "nginx"]),
    copyBuilt(checkout),
  ]);
  await Promise.all([
    importNode(host),
    importMachineImage(host, "haproxy:3.2-alpine", programs.haproxy.haproxy),
    importMachineImage(host, "nginx:1.28-alpine", programs.nginx.nginx),
    importWebImage(host).then(() =>
      host.docker(["build", "--tag", "nginx:alpine", "-"], { input: `FROM ${webImage}\nEXPOSE 80\n` }),
    ),
    addDefaultRoute(host),
  ]);
  return stageOn(host, checkout, bin);
}

/** Starts further hosts beside a stage, whose Dockers have these images of it. */
export async function startBeside(
  stage: Stage,
  count: number,
  images: readonly string[],
): Promise<readonly Stage[]> {
  const archive = join(tempDir("images"), "images.tar");
  const saved = stage.docker(["save", "--output", archive, ...images], { within: 120_000 });
  return Promise.all(
    Array.from({ length: count }, async () => {
      const [host] = await Promise.all([startDockerHost({ inMemory: true }), saved]);
      await addDefaultRoute(host);
      await host.docker(["load", "--input", archive], { within: 120_000 });
      return stageOn(host, stage.checkout, stage.bin);
    }),
  );
}

function stageOn(host: DockerHost, checkout: string, bin: string): Stage {
  return {
    ...host,
    checkout,
    bin,
    shell: (example, commands, env = {}) => {
      const [enter = "", ...args] = [...host.enter, "bash", "-euc", commands];
      return exec(enter, args, {
        cwd: join(checkout, "examples", example),
        within: 240_000,
        env: {
          PATH: `${bin}:${process.env.PATH}`,
          DOCKER_HOST: host.dockerHost,
          DOCKER_SOCKET: host.socket,
          ...env,
        },
      });
    },
    serves: async (name, expected, port = 80) => {
      const answer = () => get(`http://${host.address}:${port}/`, { host: name }).catch(String);
      const matches = (text: string) =>
        typeof expected === "string" ? text.trim() === expected : text.includes(`/: ${expected} `);
      await waitFor(
        `${name} to answer ${expected}`,
        async () => {
          const text = await answer();
          if (!matches(text)) throw new Error(text);
          return true;
        },
        { within: 60_000, every: 100 },
      );
    },
  };
}

/** The shell blocks of an example's README, in order. */
export function readmeBlocks(example: string): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, "../../examples", example, "README.md"), "utf8");
  return [...text.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1] ?? "");
}

/**
 * Hosts have a default route: its address is what a registrator takes for theirs. The better one, which the system
 * takes, refuses at once what would leave the switch, as the look for a newer image.
 */
async function addDefaultRoute({ address, run }: DockerHost): Promise<void> {
  await run(["ip", "route", "add", "unreachable", "default", "metric", "1"]);
  await run(["ip", "route", "add", "default", "via", address.replace(/\d+$/, "253"), "metric", "2"]);
}
