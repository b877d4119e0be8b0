// The demo's containers and their image.
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type Docker from "dockerode";
import { exec } from "../../test/servers/exec.ts";
import { owner } from "../../test/servers/run.ts";
import type { DemoDocker } from "./docker.ts";
import { importImage, removeAll, removeImage, removeLeftovers } from "./labelled.ts";
import type { Life } from "./life.ts";
import type { OwnImage } from "./own.ts";

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
  /**
   * Creates and starts one of a service, at the host `<service>.test`: one that answers its own name, or one of
   * another image.
   */
  run(name: string, service: string, image?: OwnImage): Promise<void>;
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
  await removeLeftovers(life, client, demoLabel);
  await life.step(
    "Web image",
    async () => {
      await removeImage(client, demoImage);
      await importWebImage(client, dir, busybox);
    },
    () => `${demoImage}, made of ${busybox}`,
  );
  life.atEnd(`image ${demoImage}`, () => removeImage(client, demoImage));
  life.atEnd("containers", () => removeAll(client, demoLabel));
  const named = (name: string) => client.getContainer(`${prefix}${name}`);
  return {
    async run(name, service, image = { name: demoImage, port: 80 }) {
      const container = await client.createContainer({
        name: `${prefix}${name}`,
        Hostname: name,
        Image: image.name,
        Labels: {
          [demoLabel]: owner,
          SERVICE_NAME: service,
          SERVICE_HTTP_HOST: `${service}.test`,
        },
        ExposedPorts: { [`${image.port}/tcp`]: {} },
        // No port is given: Docker takes a free one, and another one at each start.
        HostConfig: { PortBindings: { [`${image.port}/tcp`]: [{ HostIp: "127.0.0.1", HostPort: "" }] } },
      });
      await container.start();
    },
    start: async (name) => void (await named(name).start()),
    stop: async (name) => void (await named(name).stop({ t: 10 })),
    kill: async (name) => void (await named(name).kill()),
  };
}

/** An image that needs no registry: busybox, and a command that serves the container's name on port 80. */
async function importWebImage(client: Docker, dir: string, busybox: string): Promise<void> {
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
  const command = `CMD ${JSON.stringify(["busybox", "sh", "-c", script])}`;
  await importImage(client, demoImage, archive, ["ENV PATH=/bin", "EXPOSE 80", command]);
}
