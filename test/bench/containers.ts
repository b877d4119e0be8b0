import Docker from "dockerode";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { importWebImage, runWeb } from "../servers/image.ts";
import { anchor, wallClock } from "./wall-clock.ts";

/** Labels that make a container count for the product, for its floor, or for both. */
export const productLabel = "portolan.bench.product=1";
export const floorLabel = "portolan.bench.floor=1";

/** A container that is started and ends by itself again and again. */
export interface BenchContainer {
  readonly name: string;
  readonly service: string;
  /** Starts it, and resolves when Docker has answered. */
  start(): Promise<void>;
  /** Makes its process end. No stop signal: nothing announces the end. */
  end(): Promise<void>;
  /** Resolves when Docker is done with its end. */
  ended(): Promise<void>;
  /** Unix time in ms of Docker's latest event of this kind. */
  lastEvent(action: "start" | "die"): Promise<number>;
}

/** The containers of the bench: 20 that just run, and one each for product and floor. */
export interface Containers {
  readonly host: DockerHost;
  readonly product: BenchContainer;
  readonly floor: BenchContainer;
  /** Names and services of those that just run. */
  readonly standing: readonly { readonly name: string; readonly service: string }[];
}

/** A command that ends at SIGUSR1, which is no stop signal. Process 1 gets only the signals that it handles. */
export const untilSignal: readonly string[] = [
  "sh",
  "-c",
  "trap 'exit 0' USR1; while true; do sleep 3600 & wait $!; done",
];

/** How many containers just run. */
export const standingCount = 20;

/** Starts a Docker with the containers. The two are created and do not run. */
export async function startContainers(): Promise<Containers> {
  const host = await startDockerHost();
  await importWebImage(host);
  const client = new Docker({ socketPath: host.socket });
  const standing = Array.from({ length: standingCount }, (_, at) => ({
    name: `standing-${at}`,
    service: `standing-${at}`,
  }));
  const labelsOf = (service: string) => ({
    SERVICE_NAME: service,
    SERVICE_HTTP_HOST: `${service}.test`,
  });
  const rest = [...standing];
  const some = async () => {
    for (let next = rest.pop(); next; next = rest.pop()) {
      const [product, floor] = [productLabel, floorLabel].map((label) => label.replace("=1", ""));
      const labels = { ...labelsOf(next.service), [product ?? ""]: "1", [floor ?? ""]: "1" };
      await runWeb(host, { name: next.name, publish: ["80"], labels, command: untilSignal });
    }
  };
  await Promise.all([some(), some(), some()]);

  const prepare = async (name: string, label: string): Promise<BenchContainer> => {
    const labels = { ...labelsOf(name), SERVICE_ID: name, [label.replace("=1", "")]: "1" };
    const { id } = await runWeb(host, { name, publish: ["80"], labels, command: untilSignal });
    const container = client.getContainer(id);
    const bench: BenchContainer = {
      name,
      service: name,
      start: async () => void (await container.start()),
      end: async () => void (await container.kill({ signal: "SIGUSR1" })),
      ended: async () => void (await container.wait({ condition: "not-running" })),
      async lastEvent(action) {
        anchor();
        const until = (wallClock() / 1000).toFixed(6);
        const filters = { container: [id], event: [action] };
        const since = (wallClock() / 1000 - 30).toFixed(6);
        const stream = await client.getEvents({ since, until, filters } as object);
        stream.setEncoding("utf8");
        let text = "";
        for await (const chunk of stream) text += String(chunk);
        const last = text.trim().split("\n").at(-1);
        return Number((JSON.parse(last ?? "{}") as { timeNano?: number }).timeNano) / 1e6;
      },
    };
    await bench.end();
    await bench.ended();
    return bench;
  };
  const [product, floor] = await Promise.all([
    prepare("product", productLabel),
    prepare("floor", floorLabel),
  ]);
  return { host, product, floor, standing };
}
