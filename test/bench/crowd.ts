import Docker from "dockerode";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { importWebImage, webImage } from "../servers/image.ts";
import { floorLabel, productLabel, untilSignal } from "./containers.ts";

/** Many containers on one host, each with a published port, for product and floor alike. */
export interface Crowd {
  readonly host: DockerHost;
  /** Those that run all the time. */
  readonly members: readonly { readonly name: string; readonly service: string }[];
  /** Ends all of it, the quick way. */
  stop(): Promise<void>;
  /** Starts one more, or ends it; resolves when Docker is done. */
  startOne(): Promise<void>;
  endOne(): Promise<void>;
}

/** Containers that are started at the same time. */
const hands = 4;
/** Services that the members share. */
const services = 50;

/** The one that comes and goes; its service has other instances. */
export const oneMore = { name: "one-more", service: "crowd-0" } as const;

/** Starts a Docker with so many containers (about 0.2 s each), and one more that does not run. */
export async function startCrowd(size: number): Promise<Crowd> {
  // A process for each published port would fill the machine; the kernel forwards as well.
  const host = await startDockerHost({ args: ["--userland-proxy=false"] });
  await importWebImage(host);
  const client = new Docker({ socketPath: host.socket });
  const create = (name: string, service: string, command: readonly string[]) =>
    client.createContainer({
      name,
      Image: webImage,
      Cmd: [...command],
      Labels: Object.fromEntries([
        ["SERVICE_NAME", service],
        ...[productLabel, floorLabel].map((label) => label.split("=")),
      ]),
      ExposedPorts: { "80/tcp": {} },
      HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "0" }] } },
    });
  const members = Array.from({ length: size }, (_, at) => ({
    name: `member-${at}`,
    service: `crowd-${at % services}`,
  }));
  const rest = [...members];
  const hand = async () => {
    for (let next = rest.pop(); next; next = rest.pop()) {
      await (await create(next.name, next.service, ["sleep", "1000000"])).start();
    }
  };
  await Promise.all(Array.from({ length: hands }, hand));
  const one = await create(oneMore.name, oneMore.service, untilSignal);
  return {
    host,
    members,
    async stop() {
      // A daemon would stop them one by one.
      await host.kill();
      await host.stop();
    },
    startOne: async () => void (await one.start()),
    async endOne() {
      const ended = one.wait({ condition: "not-running" });
      await one.kill({ signal: "SIGUSR1" });
      await ended;
    },
  };
}
