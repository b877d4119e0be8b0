// The demo's containers, on a Docker that may hold other people's: ours carry a label, and only they are touched.
import { copyFileSync, createReadStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import type Docker from "dockerode";
import { exec } from "../../test/servers/exec.ts";
import { isAlive, owner } from "../../test/servers/run.ts";
import type { DemoDocker } from "./docker.ts";
import type { Life } from "./life.ts";

/** Label of every container of a demo; its value names the process that made it. */
export const demoLabel = "portolan.demo";

/** The image of the web containers. */
export const demoImage = "portolan-demo/web:latest";

const prefix = "portolan-demo-";

/** ms that a web container still answers after its stop signal. */
export const lingers = 2_000;

/** How the timeline calls a container: without the prefix that keeps ours apart from other people's. */
export function shortName(name: string): string {
  return name.replace(/^\//, "").replace(prefix, "");
}

/** The containers of the demo, by their short name, for example `web-1`. */
export interface Containers {
  /** Creates and starts one of a service, which answers its own name at the host `<service>.test`. */
  run(name: string, service: string): Promise<void>;
  start(name: string): Promise<void>;
  /** `docker stop`: the stop signal, and SIGKILL after ten seconds. */
  stop(name: string): Promise<void>;
  /** `docker kill`: SIGKILL. */
  kill(name: string): Promise<void>;
}

/** Removes what an earlier demo has left, and brings the image. At the end, containers and image go. */
export async function prepareContainers(
  life: Life,
  { client }: DemoDocker,
  { dir, busybox }: { readonly dir: string; readonly busybox: string },
): Promise<Containers> {
  const left = await leftovers(client);
  if (left.length > 0) {
    await life.step(
      "Removing leftovers",
      () => removeAll(client),
      () => `${left.length} container${left.length === 1 ? "" : "s"} of a demo that did not end properly`,
    );
  }
  await life.step(
    "Web image",
    async () => {
      await removeImage(client);
      await importImage(client, dir, busybox);
    },
    () => `${demoImage}, made of ${busybox}`,
  );
  life.atEnd(`image ${demoImage}`, () => removeImage(client));
  life.atEnd("containers", () => removeAll(client));
  const named = (name: string) => client.getContainer(`${prefix}${name}`);
  return {
    async run(name, service) {
      const container = await client.createContainer({
        name: `${prefix}${name}`,
        Hostname: name,
        Image: demoImage,
        Labels: {
          [demoLabel]: owner,
          SERVICE_NAME: service,
          SERVICE_HTTP_HOST: `${service}.test`,
        },
        ExposedPorts: { "80/tcp": {} },
        // No port is given: Docker takes a free one, and another one at each start.
        HostConfig: { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] } },
      });
      await container.start();
    },
    start: async (name) => void (await named(name).start()),
    stop: async (name) => void (await named(name).stop({ t: 10 })),
    kill: async (name) => void (await named(name).kill()),
  };
}

const ours = (client: Docker) =>
  client.listContainers({ all: true, filters: JSON.stringify({ label: [demoLabel] }) });

/** @throws when the containers are those of a demo that still runs */
async function leftovers(client: Docker): Promise<readonly Docker.ContainerInfo[]> {
  const all = await ours(client);
  const alive = all.map(({ Labels }) => Labels[demoLabel] ?? "").find(isAlive);
  if (alive !== undefined) {
    throw new Error(`another demo runs on this Docker (process ${alive.split("-")[0]}); end it first`);
  }
  return all;
}

async function removeAll(client: Docker): Promise<void> {
  const remove = async ({ Id }: Docker.ContainerInfo): Promise<void> => {
    await client
      .getContainer(Id)
      .remove({ force: true, v: true })
      .catch((error: { statusCode?: number }) => {
        // Gone, or on its way (--rm).
        if (error.statusCode !== 404 && error.statusCode !== 409) throw error;
      });
  };
  await Promise.all((await ours(client)).map(remove));
}

async function removeImage(client: Docker): Promise<void> {
  await client
    .getImage(demoImage)
    .remove()
    .catch((error: { statusCode?: number }) => {
      // Somebody uses it for a container without our label: then it has to stay.
      if (error.statusCode !== 404 && error.statusCode !== 409) throw error;
    });
}

/** An image that needs no registry: busybox, and a command that serves the container's name on port 80. */
async function importImage(client: Docker, dir: string, busybox: string): Promise<void> {
  const root = join(dir, "image");
  for (const folder of ["bin", "tmp", "www"]) mkdirSync(join(root, folder), { recursive: true });
  copyFileSync(busybox, join(root, "bin/busybox"));
  const archive = join(dir, "image.tar");
  await exec("tar", ["-C", root, "-cf", archive, "."]);

  // The shell is process 1, which gets only the signals that it handles. It goes on serving for a while.
  const script = [
    "busybox hostname > /www/index.html",
    `trap 'busybox sleep ${lingers / 1000}; exit 0' TERM`,
    "busybox httpd -f -p 80 -h /www & wait",
  ].join("; ");
  const [repo, tag] = demoImage.split(":");
  const changes = ["ENV PATH=/bin", "EXPOSE 80", `CMD ${JSON.stringify(["busybox", "sh", "-c", script])}`];
  const answer = await client.importImage(createReadStream(archive), { repo, tag, changes });
  await new Promise<void>((resolve, reject) => {
    client.modem.followProgress(answer, (error) => (error ? reject(error) : resolve()));
  });
}
