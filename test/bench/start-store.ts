import { join } from "node:path";
import { startConsul } from "../servers/consul.ts";
import { startEtcd } from "../servers/etcd.ts";
import { tempDir } from "../servers/run.ts";
import { startZooKeeper } from "../servers/zookeeper.ts";
import type { Subject } from "./options.ts";

/** A store that runs. */
export interface StartedStore {
  /** An empty place in it, as the product takes it. Consul has but one. */
  url(place: string): string;
  stop(): Promise<void>;
}

/** Starts the server of a store. */
export async function startStore(name: Exclude<Subject, "memory">): Promise<StartedStore> {
  switch (name) {
    case "file": {
      const dir = tempDir("bench-file");
      return { url: (place) => `file://${join(dir, place)}`, stop: async () => {} };
    }
    case "consul": {
      // With each registration `-dev` writes a line about every service and check that there is: half of the work.
      const { host, port, stop } = await startConsul({ hcl: 'log_level = "INFO"' });
      return { url: () => `consul://${host}:${port}`, stop };
    }
    case "etcd": {
      const { host, port, stop } = await startEtcd();
      return { url: (place) => `etcd://${host}:${port}/${place}`, stop };
    }
    case "zookeeper": {
      const { address, stop } = await startZooKeeper();
      return { url: (place) => `zookeeper://${address}/${place}`, stop };
    }
  }
}
