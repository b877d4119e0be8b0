import { once } from "node:events";
import type { DockerOptions } from "../../../src/registrator/docker/engine.ts";
import { localContainer } from "../../local-container.ts";
import { container, published } from "../../registrator/build.ts";

/** The Docker of a host, which exists in this process only: so many containers run there, and nothing ever happens. */
export function stillDocker(host: string, containers: number): NonNullable<DockerOptions["connect"]> {
  const names = Array.from({ length: containers }, (_, at) => `${host}-web-${at}`);
  return async () => ({
    engine: `docker of ${host}`,
    hostname: host,
    apiVersion: "1.41",
    now: Date.now() / 1000,
    list: async () =>
      names.map((name, at) => ({
        Id: `id-${name}`,
        Names: [`/${name}`],
        State: "running",
        Status: "Up 1 second",
        Ports: ["0.0.0.0", "::"].map((IP) => ({ IP, PrivatePort: 80, PublicPort: 32_768 + at, Type: "tcp" })),
        NetworkSettings: { Networks: { bridge: { IPAddress: "172.17.0.2" } } },
      })),
    inspect: async (id) => {
      const name = id.replace("id-", "");
      return {
        container: container({
          name,
          labels: { SERVICE_NAME: `web-${names.indexOf(name)}` },
          ports: [published(80, 32_768 + names.indexOf(name))],
        }),
        exitCode: undefined,
        running: true,
        networks: [],
        describe: (internal) => localContainer({ id, name }, internal),
      };
    },
    networks: async () => new Map(),
    events: async (_since, signal) => nothing(signal),
    past: async () => [],
  });
}

/** Events that never come. */
async function* nothing(signal: AbortSignal): AsyncGenerator<never> {
  await once(signal, "abort");
  yield* [];
}
