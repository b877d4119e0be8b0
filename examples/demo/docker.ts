// Which Docker the demo runs on: the machine's own, else one that it starts for itself.
import { existsSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import Docker from "dockerode";
import { connectDocker } from "../../src/registrator/docker/client.ts";
import { withLock } from "../../test/servers/lock.ts";
import { startPrivateDocker } from "../../test/servers/private-docker.ts";
import { isRoot, stateDir } from "../../test/servers/run.ts";
import type { Life } from "./life.ts";

/** A Docker that answers, or why there is none. */
export type Found = { readonly url: string } | { readonly none: string };

/** The Docker that the demo runs on. */
export interface DemoDocker {
  readonly url: string;
  readonly client: Docker;
  /** Whether the `docker` command reaches it without being told where it is. */
  readonly isUsual: boolean;
}

const usual = "/var/run/docker.sock";

/**
 * Looks for the user's Docker: DOCKER_HOST, else the usual socket, else that of a rootless Docker.
 * @throws when there is one that cannot be used, with the way out
 */
export async function findDocker(signal: AbortSignal): Promise<Found> {
  const { DOCKER_HOST: given, XDG_RUNTIME_DIR: runtime } = process.env;
  if (given) {
    await assertHere(given, signal);
    return { url: given };
  }
  const sockets = [usual, ...(runtime === undefined ? [] : [join(runtime, "docker.sock")])];
  let denied: unknown;
  for (const url of sockets.filter(existsSync).map((socket) => `unix://${socket}`)) {
    try {
      await ask(url, signal);
      return { url };
    } catch (error) {
      if ((error as { code?: unknown }).code === "DOCKER_DENIED") denied ??= error;
    }
  }
  const none = `no Docker answers at ${usual}`;
  if (isRoot()) return { none };
  if (denied === undefined) {
    throw new Error(`${none}, and only root can start one. Start Docker, or run the demo as root.`);
  }
  throw new Error(
    `Docker is at ${usual}, but this user may not use it.\n` +
      'Add the user to its group (sudo usermod -aG docker "$USER") and log in again, or run the demo as root.',
    { cause: denied },
  );
}

/** The containers are reached at 127.0.0.1, so their Docker has to be on this machine. */
async function assertHere(url: string, signal: AbortSignal): Promise<void> {
  const isHere = /^unix:|^(tcp|https?):\/\/(localhost|127\.[\d.]+|\[::1\])[:/]/.test(url);
  const wayOut = "Unset DOCKER_HOST to use the Docker of this machine.";
  if (!isHere) throw new Error(`DOCKER_HOST is ${url}, which is not on this machine. ${wayOut}`);
  await ask(url, signal).catch((cause: Error) => {
    throw new Error(`DOCKER_HOST is set, and that Docker does not answer: ${cause.message}. ${wayOut}`, {
      cause,
    });
  });
}

const ask = (url: string, signal: AbortSignal) => connectDocker(url, process.env, signal);

/** Connects to the Docker that was found, or starts a private one below `dir`, which ends with the demo. */
export async function useDocker(life: Life, found: Found, dir: string): Promise<DemoDocker> {
  if ("url" in found) {
    const { url } = found;
    await life.step(
      "Docker",
      () => ask(url, life.signal),
      ({ apiVersion }) => `the one at ${url} (API ${apiVersion})`,
    );
    return { url, client: clientOf(url), isUsual: url === `unix://${usual}` };
  }
  const { dockerHost: url } = await life.step(
    "Starting a private Docker",
    async () => {
      life.atEnd("lock", await lockPrivateDocker());
      const docker = await startPrivateDocker({ dir });
      life.atEnd("private Docker", docker.stop);
      return docker;
    },
    () => found.none,
  );
  return { url, client: clientOf(url), isUsual: false };
}

/** The client reads the TLS variables of DOCKER_HOST's world by itself. */
function clientOf(url: string): Docker {
  const socketPath = /^unix:\/\/(?<path>.+)$/.exec(url)?.groups?.path;
  return socketPath === undefined ? new Docker() : new Docker({ socketPath });
}

/** Two private Dockers in one network namespace would undo each other's packet rules: the second one waits. */
async function lockPrivateDocker(): Promise<() => void> {
  const namespace = readlinkSync("/proc/self/ns/net").replaceAll(/\D/g, "");
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  await new Promise<void>((resolve, reject) => {
    withLock(join(stateDir, `demo-docker-${namespace}.lock`), 60_000, () => {
      resolve();
      return released;
    }).catch(reject);
  });
  return release;
}
