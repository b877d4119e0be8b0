// A Docker for a machine that has none: in the root namespace, with a bridge of its own instead of docker0.
import { join } from "node:path";
import type { DockerCli } from "./docker-cli.ts";
import { endDockerd, startDockerd } from "./dockerd.ts";
import { exec } from "./exec.ts";
import { ensureInstalled } from "./install.ts";
import { cleanLeftovers } from "./leftovers.ts";
import { claimSubnet } from "./network.ts";
import { readRootNetwork, restoreRootNetwork } from "./root-network.ts";
import { atExit, needRoot } from "./run.ts";
import { sweepFolder } from "./sweep.ts";

/** A Docker whose published ports are reached at 127.0.0.1 and at every address of the machine. */
export interface PrivateDocker extends DockerCli {
  /** The machine's address on the bridge. */
  readonly bridgeAddress: string;
  pid(): number;
  logTail(lines?: number): string;
  /** Removes containers, daemon, bridge, packet rules and everything below its folder. */
  stop(): Promise<void>;
  /** Ends the daemon like a crash; its containers go on until it starts again. */
  kill(): Promise<void>;
  restart(options?: { readonly signal?: "SIGTERM" | "SIGKILL" }): Promise<void>;
}

/**
 * Starts a dockerd that keeps everything in `dir`/docker, which `stop` removes. One at a time: several daemons in
 * one network namespace write the same packet rules.
 */
export async function startPrivateDocker({
  dir,
  liveRestore = false,
}: {
  dir: string;
  liveRestore?: boolean;
}): Promise<PrivateDocker> {
  needRoot("start a Docker");
  await ensureInstalled(["docker"]);
  await cleanLeftovers();
  const own = join(dir, "docker");
  const before = readRootNetwork();
  const subnet = claimSubnet(JSON.stringify(before));
  const bridge = `${subnet.prefix}-br`;
  const bridgeAddress = subnet.address(1);
  const tidy = (): void => {
    sweepFolder(own);
    restoreRootNetwork(bridge, before);
    subnet.release();
  };
  const farewell = atExit(tidy);
  const removeAll = (): void => {
    tidy();
    farewell();
  };
  try {
    // Without an address of its own it takes one of its ports', and containers lose it whenever that port goes.
    await exec("ip", ["link", "add", bridge, "address", "02:00:00:00:00:01", "type", "bridge"]);
    await exec("ip", ["address", "add", `${bridgeAddress}/24`, "dev", bridge]);
    await exec("ip", ["link", "set", bridge, "up"]);
    const dockerd = await startDockerd({
      name: "dockerd",
      dir: own,
      address: "127.0.0.1",
      liveRestore,
      args: ["--bridge", bridge],
    });
    const { daemon, ...cli } = dockerd;
    return {
      ...cli,
      bridgeAddress,
      pid: daemon.pid,
      logTail: daemon.logTail,
      stop: async () => {
        await endDockerd(dockerd);
        removeAll();
      },
      kill: daemon.kill,
      restart: ({ signal = "SIGTERM" } = {}) => daemon.restart(signal === "SIGKILL" ? "kill" : "stop"),
    };
  } catch (error) {
    removeAll();
    throw error;
  }
}
