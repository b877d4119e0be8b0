import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { encodeInstance, encodeSegment, type Instance } from "../../src/instance.ts";

/** The folder of a `file:` backend whose records are written by hand. */
export interface RegistryFolder {
  readonly url: string;
  put(instance: Instance): void;
}

/** An empty registry whose one owner, on `host1`, stays alive for an hour. */
export function registryFolder(dir: string): RegistryFolder {
  mkdirSync(join(dir, "services"), { recursive: true });
  mkdirSync(join(dir, "nodes"));
  writeFileSync(
    join(dir, "nodes", "host1"),
    JSON.stringify({ owner: "host1/ENGINE", run: "r", ttl: 3600, beat: 1 }),
  );
  return {
    url: `file://${dir}`,
    put(instance) {
      const file = join(
        dir,
        "services",
        encodeSegment(instance.service),
        `${encodeSegment(instance.id)}.json`,
      );
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(join(dirname(file), ".draft"), encodeInstance(instance));
      renameSync(join(dirname(file), ".draft"), file);
    },
  };
}

/** An instance of `service` on `host1`, ready at 10.0.0.1 and the port. */
export function instance(service: string, port: number, over: Partial<Instance> = {}): Instance {
  return {
    id: `host1:${service}-1:${port}`,
    service,
    address: "10.0.0.1",
    port,
    protocol: "tcp",
    tags: [],
    meta: {},
    weight: 1,
    state: "ready",
    node: "host1",
    owner: "host1/ENGINE",
    ...over,
  };
}
