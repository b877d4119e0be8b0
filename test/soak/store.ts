import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startConsul } from "../servers/consul.ts";
import { startEtcd } from "../servers/etcd.ts";
import { tempDir } from "../servers/run.ts";
import type { TestServer } from "../servers/server.ts";
import { startZooKeeper } from "../servers/zookeeper.ts";
import type { BackendName } from "./options.ts";

/** A backend under soak. */
export interface SoakStore {
  readonly url: string;
  /** What can be done to it, by name; each resolves when it serves again. */
  readonly disturbances: Readonly<Record<string, () => Promise<void>>>;
  /** The server, unless it is but a folder. */
  readonly server?: Pick<TestServer, "pause" | "resume">;
  stop(): Promise<void>;
}

/** Starts a backend that keeps its data over a restart. */
export async function startSoakStore(name: BackendName): Promise<SoakStore> {
  switch (name) {
    case "file": {
      const dir = tempDir("soak-file");
      const services = join(dir, "services");
      const wipe = async () => {
        for (const service of readdirSync(services)) rmSync(join(services, service), { recursive: true });
      };
      return { url: `file://${dir}`, disturbances: { "backend wiped": wipe }, stop: async () => {} };
    }
    case "consul": {
      const server = await startConsul({ persistent: true });
      return { url: `consul://${server.host}:${server.port}`, ...disturbed(server) };
    }
    case "etcd": {
      const server = await startEtcd();
      return { url: `etcd://${server.host}:${server.port}/soak`, ...disturbed(server) };
    }
    case "zookeeper": {
      const server = await startZooKeeper();
      return { url: `zookeeper://${server.address}/soak`, ...disturbed(server) };
    }
  }
}

function disturbed(server: TestServer): Pick<SoakStore, "disturbances" | "server" | "stop"> {
  return {
    server,
    disturbances: {
      "backend restarted": () => server.restart(),
      "backend killed": () => server.restart("kill"),
      "backend wiped": () => server.wipeAndRestart(),
    },
    stop: server.stop,
  };
}
