// A container of an image that somebody brings, beside those of the story.
import type { Containers } from "./containers.ts";
import type { DemoDocker } from "./docker.ts";
import { pullImage } from "./labelled.ts";
import type { Life } from "./life.ts";
import type { Pipeline } from "./pipeline.ts";
import { showNote } from "./row.ts";
import type { Timeline } from "./timeline.ts";
import { askOnce, startTraffic } from "./traffic.ts";

/** The container's short name, which is its service's, too. */
const own = "mine";
const host = `${own}.test`;

/** ms that it may take until it is healthy and answers. */
const patience = 120_000;

/** An image that is there, and the port that its containers serve. */
export interface OwnImage {
  readonly name: string;
  readonly port: number;
}

/**
 * Looks for an image, and pulls it where it is not there.
 * @throws when it cannot be had, or says of no port that it is served
 */
export async function bringImage(life: Life, { client }: DemoDocker, given: string): Promise<OwnImage> {
  // Docker would pull every tag that there is.
  const name = /:[^/]+$/.test(given) ? given : `${given}:latest`;
  const inspect = () => client.getImage(name).inspect();
  const found = await life.step(`Image ${name}`, async () => {
    const there = await inspect().catch((error: { statusCode?: number }) => {
      if (error.statusCode !== 404) throw error;
      return undefined;
    });
    if (there) return there;
    await pullImage(client, name).catch((cause: Error) => {
      const wayOut = "name an image that this Docker has, or pull it by hand";
      throw new Error(`${name} cannot be pulled: ${cause.message.trim()}; ${wayOut}`, { cause });
    });
    return inspect();
  });
  const ports = Object.keys(found.Config.ExposedPorts ?? {}).filter((port) => port.endsWith("/tcp"));
  const [port] = ports.map((text) => Number.parseInt(text, 10)).sort((a, b) => a - b);
  if (port === undefined)
    throw new Error(`${name} exposes no TCP port (EXPOSE in its Dockerfile), so nobody can be led to it`);
  return { name, port };
}

/** Starts a container of the image, and says where it answers and where it is shown. */
export async function showOwn(
  image: OwnImage,
  parts: { readonly containers: Containers; readonly timeline: Timeline; readonly pipeline: Pipeline },
): Promise<void> {
  const { containers, timeline, pipeline } = parts;
  const { port, registrator } = pipeline;
  timeline.act(`A container of ${image.name} starts: yours.`, "while yours started");
  // What HAProxy says of a host that it does not know; a container may answer 404, too.
  const unknown = await askOnce(port, host);
  const traffic = startTraffic(port, host, ({ status, body }) =>
    status === 503 || (status === unknown.status && body === unknown.body) ? undefined : own,
  );
  await timeline.start(own, () => containers.run(own, own, image), traffic, patience);
  await traffic.stop();
  showNote(`it answers: curl -H 'Host: ${host}' http://127.0.0.1:${port}/`);
  showNote(`it is on the page: ${registrator.url}/`);
}
