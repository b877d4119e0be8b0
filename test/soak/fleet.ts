import { setTimeout as sleep } from "node:timers/promises";
import Docker from "dockerode";
import type { DockerHost } from "../servers/docker.ts";
import { importWebImage, webCommand, webImage } from "../servers/image.ts";
import type { Random } from "./random.ts";

/** The label of the containers that are registered, and its value. */
export const label = "portolan.soak";

/** A record that must be there, because a container runs. */
export interface Expected {
  readonly service: string;
  readonly container: string;
  readonly port: number;
  readonly state: "ready" | "paused";
}

/** How many containers there are, and how many of them something is done to at the same time. */
export interface FleetSize {
  readonly containers: number;
  readonly hands: number;
}

/** Containers that come and go. */
export interface Fleet {
  /** Of all containers, running or not. */
  readonly names: readonly string[];
  /** Does things to containers until `signal` aborts, some at a time; resolves when all are done. */
  stir(random: Random, signal: AbortSignal): Promise<void>;
  /** How often each thing was done. */
  readonly counts: Map<string, number>;
  /** What Docker says that runs. */
  expected(): Promise<readonly Expected[]>;
}

/** Services for each so many containers. */
const perService = 2.5;

/** Creates the containers and starts half of them. */
export async function startFleet(host: DockerHost, { containers, hands }: FleetSize): Promise<Fleet> {
  await importWebImage(host);
  const client = new Docker({ socketPath: host.socket });
  const services = Math.ceil(containers / perService);
  const counts = new Map<string, number>();
  const create = (name: string) =>
    client.createContainer({
      name,
      Image: webImage,
      Cmd: [...webCommand()],
      ExposedPorts: { "80/tcp": {} },
      Labels: {
        [label]: "1",
        // Several instances of a service, and services with one.
        SERVICE_NAME: `soak-${Number(name.split("-")[1]) % services}`,
        SERVICE_HTTP_HOST: `soak-${Number(name.split("-")[1]) % services}.test`,
      },
      HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "0" }] } },
    });
  const names = Array.from({ length: containers }, (_, at) => `web-${at}`);
  /** Each hand has containers of its own, so that nothing is replaced while it is started. */
  const own = (at: number) => names.filter((_, index) => index % hands === at);
  const eachHand = (work: (own: readonly string[]) => Promise<void>) =>
    Promise.all(Array.from({ length: hands }, (_, at) => work(own(at))));
  await eachHand(async (mine) => {
    for (const name of mine) await create(name);
    for (const name of mine.slice(0, mine.length / 2)) await client.getContainer(name).start();
  });

  const actions: Readonly<Record<string, (name: string) => Promise<unknown>>> = {
    start: (name) => client.getContainer(name).start(),
    stop: (name) => client.getContainer(name).stop({ t: 1 }),
    kill: (name) => client.getContainer(name).kill(),
    restart: (name) => client.getContainer(name).restart({ t: 1 }),
    async replace(name) {
      await client.getContainer(name).remove({ force: true });
      await create(name);
      await client.getContainer(name).start();
    },
    async pause(name) {
      await client.getContainer(name).pause();
      await sleep(200);
      await client.getContainer(name).unpause();
    },
  };
  // A container that is stopped twice as often as it is started would seldom run.
  const odds = ["start", "start", "start", "stop", "kill", "restart", "replace", "pause"] as const;

  const hand = async (mine: readonly string[], random: Random, signal: AbortSignal) => {
    while (!signal.aborted) {
      const action = random.pick([...odds] as [string, ...string[]]);
      const name = random.pick([...mine] as [string, ...string[]]);
      // Starting what runs, stopping what does not, and all while Docker is away: refused, and no matter.
      const done = await actions[action]?.(name).then(
        () => true,
        () => false,
      );
      if (done) counts.set(action, (counts.get(action) ?? 0) + 1);
      else await sleep(50);
      if (random.next() < 0.3) await sleep(random.next() * 500);
    }
  };

  return {
    names,
    counts,
    async stir(random, signal) {
      await eachHand((mine) => hand(mine, random.fork(), signal));
      // Docker may have been away while a container was replaced.
      for (const name of names) await create(name).catch(() => {});
    },
    async expected() {
      const filters = { label: [`${label}=1`] };
      const list = await client.listContainers({ filters });
      return list.flatMap(({ Names, Labels, Ports, State }): Expected | [] => {
        const port = Ports.find(({ PublicPort, IP }) => PublicPort && !IP?.includes(":"))?.PublicPort;
        // A Docker that was ended while it started a container may bring it back without its published port.
        if (port === undefined) return [];
        return {
          service: Labels.SERVICE_NAME ?? "",
          container: Names[0]?.slice(1) ?? "",
          port,
          state: State === "paused" ? "paused" : "ready",
        };
      });
    },
  };
}
