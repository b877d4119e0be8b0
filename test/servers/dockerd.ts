import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DockerCli, dockerCli } from "./docker-cli.ts";
import { type DockerRelease, dockerProgram } from "./docker-package.ts";
import { get } from "./http.ts";
import { readable } from "./programs.ts";
import { startTime } from "./run.ts";
import { startServer, type TestServer } from "./server.ts";
import { waitFor } from "./wait.ts";

/** Where and how a dockerd runs. */
export interface DockerdSpec {
  readonly name: string;
  /** Everything it keeps is below this folder. */
  readonly dir: string;
  /** Prefix of its command line, for another network namespace. */
  readonly enter?: readonly string[];
  readonly address: string;
  readonly liveRestore?: boolean;
  readonly args?: readonly string[];
  /** Default "installed". */
  readonly release?: DockerRelease;
}

/** A dockerd of our own, with its own containerd; `dir` holds its data, its state and its socket. */
export interface Dockerd extends DockerCli {
  readonly daemon: TestServer;
  /** Its major version, e.g. 20. */
  readonly major: number;
}

/** Starts a dockerd, on what an older one left in its folder if there is that, and waits until it answers. */
export async function startDockerd(spec: DockerdSpec): Promise<Dockerd> {
  const docker = await dockerProgram(spec.release ?? "installed");
  const { dir, enter = [] } = spec;
  mkdirSync(dir, { recursive: true });
  const socket = join(dir, "docker.sock");
  // The machine's own daemon.json must not count; dockerd refuses /dev/null.
  const config = join(dir, "daemon.json");
  // Older daemons keep their identity in /etc/docker, so that all of a machine would be one and the same.
  const shared = docker.major < 25;
  writeFileSync(config, JSON.stringify(shared ? { "deprecated-key-path": join(dir, "key.json") } : {}));
  const [command = docker.dockerd, ...args] = [
    [...enter, docker.dockerd, "--config-file", config, "--host", `unix://${socket}`],
    [
      "--data-root",
      join(dir, "data"),
      "--exec-root",
      join(dir, "exec"),
      "--pidfile",
      join(dir, "docker.pid"),
    ],
    ["--exec-opt", "native.cgroupdriver=cgroupfs"], // systemd may not run, or not know us
    spec.liveRestore ? ["--live-restore"] : [],
    spec.args ?? [],
  ].flat();
  const daemon = await startServer({
    name: spec.name,
    command,
    args,
    env: { PATH: docker.path },
    dir,
    dataDir: join(dir, "data"),
    logFile: join(dir, "dockerd.log"),
    readyWithin: 30_000,
    // It stops its containers first, and a lingering one has Docker's usual 10 s.
    stopWithin: 20_000,
    whenOrphaned: "SIGTERM",
    sweep: dir,
    beforeRestart: () => containerdIsGone(join(dir, "exec/containerd/containerd.pid")),
    ready: async () => (await get("http://docker/_ping", { socketPath: socket })) === "OK",
  });
  return { ...dockerCli({ socket, address: spec.address }), daemon, major: docker.major };
}

/**
 * A killed dockerd takes its containerd with it a moment later. Started in between, the next one takes the dying
 * containerd for a running one, and waits for it until it gives up.
 */
async function containerdIsGone(pidFile: string): Promise<void> {
  const text = readable(pidFile) === undefined ? "" : readFileSync(pidFile, "utf8").trim();
  if (text === "") return;
  await waitFor(`containerd ${text} to end with its dockerd`, () => startTime(Number(text)) === undefined, {
    within: 10_000,
  });
  rmSync(pidFile, { force: true }); // where nobody reaps it, the zombie would count as running too
}

/** Removes every container and network by force, then ends the daemon; a daemon that is down is just left so. */
export async function endDockerd({ docker, daemon }: Dockerd): Promise<void> {
  daemon.resume();
  if (daemon.isRunning()) {
    const ids = (await docker(["ps", "--all", "--quiet"]).catch(() => "")).split("\n").filter(Boolean);
    // What resists is ended with the folder's processes, by the caller.
    if (ids.length > 0) await docker(["rm", "--force", "--volumes", ...ids]).catch(() => undefined);
    await docker(["network", "prune", "--force"]).catch(() => undefined);
  }
  await daemon.stop();
}
