// Dockers for tests: each in a network namespace of its own, which makes it a host of its own.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type DockerCli, dockerCli } from "./docker-cli.ts";
import type { DockerRelease } from "./docker-package.ts";
import { type DockerdSpec, endDockerd, startDockerd } from "./dockerd.ts";
import { exec } from "./exec.ts";
import { ensureInstalled } from "./install.ts";
import { addHost } from "./network.ts";
import { atExit, needRoot, tempDir } from "./run.ts";
import { sweepFolder } from "./sweep.ts";

export { type DockerAddress, type DockerCli, dockerCli } from "./docker-cli.ts";
export { type PrivateDocker, startPrivateDocker } from "./private-docker.ts";

/** How a host's dockerd is started; `args` are appended to its command line. */
export interface DockerHostOptions {
  /** Containers go on while the daemon is down. */
  readonly liveRestore?: boolean;
  readonly args?: readonly string[];
  /** Default "installed". */
  readonly release?: DockerRelease;
  /** Keeps images and containers in memory: for many images, whose layers are slow to write and to remove. */
  readonly inMemory?: boolean;
}

/**
 * A host: a network namespace with an address on this process's switch, and a dockerd in it. All hosts of one
 * process and the root namespace reach each other's published ports.
 */
export interface DockerHost extends DockerCli {
  /** Name of its network namespace, which may be gone after `stop`. */
  readonly netns: string;
  /** Prefix of a command line that makes it run on this host. */
  readonly enter: readonly string[];
  /** The daemon's pid; it changes with every start. */
  pid(): number;
  /** The daemon's major version, e.g. 20. */
  major(): number;
  logTail(lines?: number): string;
  /** Runs a command on this host and returns what it printed. */
  run(command: readonly string[], options?: { readonly within?: number }): Promise<string>;
  /** Removes the host: containers, daemon, files, namespace. */
  stop(): Promise<void>;
  /** Ends the daemon (SIGTERM) and keeps everything else. */
  stopDaemon(): Promise<void>;
  /** Starts the daemon again, with the same data and socket. */
  startDaemon(): Promise<void>;
  /** Ends the daemon like a crash (SIGKILL); its containers go on until it starts again. */
  kill(): Promise<void>;
  /** Ends the daemon with the signal (default SIGTERM) and starts it again. */
  restart(options?: { readonly signal?: "SIGTERM" | "SIGKILL" }): Promise<void>;
  /** Ends the daemon and starts the newest one with the same data and socket. */
  upgrade(): Promise<void>;
  /** Makes the daemon stand still: its socket accepts and nothing answers. */
  pause(): void;
  resume(): void;
  /** Pulls the host's network cable. */
  disconnect(): Promise<void>;
  connect(): Promise<void>;
}

/** Starts a host; several may be started at the same time. */
export async function startDockerHost(options: DockerHostOptions = {}): Promise<DockerHost> {
  needRoot("make a Docker host (a network namespace)");
  await ensureInstalled(["docker"]);
  const network = await addHost();
  const dir = tempDir("docker");
  const farewell = atExit(() => sweepFolder(dir));
  const removeAll = async (): Promise<void> => {
    sweepFolder(dir);
    await network.remove();
    farewell();
  };
  const spec: DockerdSpec = {
    name: `dockerd ${network.netns}`,
    dir,
    enter: network.enter,
    address: network.address,
    liveRestore: options.liveRestore ?? false,
    args: options.args ?? [],
    release: options.release ?? "installed",
  };
  if (options.inMemory) await mountMemory(join(dir, "data"));
  let dockerd = await startDockerd(spec).catch(async (error: unknown) => {
    await removeAll();
    throw error;
  });
  const cli = dockerCli({ socket: dockerd.socket, address: network.address });
  return {
    ...cli,
    netns: network.netns,
    enter: network.enter,
    pid: () => dockerd.daemon.pid(),
    major: () => dockerd.major,
    logTail: (lines) => dockerd.daemon.logTail(lines),
    run: (command, { within } = {}) => {
      const [program = "", ...args] = [...network.enter, ...command];
      return exec(program, args, within === undefined ? {} : { within });
    },
    stop: async () => {
      await endDockerd(dockerd);
      await removeAll();
    },
    stopDaemon: () => dockerd.daemon.stop(),
    startDaemon: () => dockerd.daemon.start(),
    kill: () => dockerd.daemon.kill(),
    restart: ({ signal = "SIGTERM" } = {}) => dockerd.daemon.restart(signal === "SIGKILL" ? "kill" : "stop"),
    upgrade: async () => {
      await dockerd.daemon.stop();
      dockerd = await startDockerd({ ...spec, release: "newest" });
    },
    pause: () => dockerd.daemon.pause(),
    resume: () => dockerd.daemon.resume(),
    disconnect: network.disconnect,
    connect: network.connect,
  };
}

async function mountMemory(folder: string): Promise<void> {
  mkdirSync(folder);
  await exec("mount", ["-t", "tmpfs", "tmpfs", folder]);
}
