// Containers and images of ours, on a Docker that may hold other people's: ours carry a label, and only they are
// touched. The label's value names the process that made them.
import { createReadStream } from "node:fs";
import type Docker from "dockerode";
import { isAlive } from "../../test/servers/run.ts";
import type { Life } from "./life.ts";

/**
 * Removes the containers that an earlier run has left.
 * @throws when they are those of one that still runs
 */
export async function removeLeftovers(life: Life, client: Docker, label: string): Promise<void> {
  const left = await ours(client, label);
  const alive = left.map(({ Labels }) => Labels[label] ?? "").find(isAlive);
  if (alive !== undefined) {
    throw new Error(`another demo runs on this Docker (process ${alive.split("-")[0]}); end it first`);
  }
  if (left.length === 0) return;
  await life.step(
    "Removing leftovers",
    () => removeAll(client, label),
    () => `${left.length} container${left.length === 1 ? "" : "s"} of a demo that did not end properly`,
  );
}

const ours = (client: Docker, label: string) =>
  client.listContainers({ all: true, filters: JSON.stringify({ label: [label] }) });

/** Removes every container with the label, running or not. */
export async function removeAll(client: Docker, label: string): Promise<void> {
  const remove = async ({ Id }: Docker.ContainerInfo): Promise<void> => {
    await client
      .getContainer(Id)
      .remove({ force: true, v: true })
      .catch((error: { statusCode?: number }) => {
        // Gone, or on its way (--rm).
        if (error.statusCode !== 404 && error.statusCode !== 409) throw error;
      });
  };
  await Promise.all((await ours(client, label)).map(remove));
}

/** Removes an image, if it is there. */
export async function removeImage(client: Docker, image: string): Promise<void> {
  await client
    .getImage(image)
    .remove()
    .catch((error: { statusCode?: number }) => {
      // Somebody uses it for a container without our label: then it has to stay.
      if (error.statusCode !== 404 && error.statusCode !== 409) throw error;
    });
}

/** Makes an image of a tar archive; `changes` are lines of a Dockerfile. Needs no registry. */
export async function importImage(
  client: Docker,
  image: string,
  archive: string,
  changes: readonly string[],
): Promise<void> {
  const [repo, tag] = image.split(":");
  await done(
    client,
    await client.importImage(createReadStream(archive), { repo, tag, changes: [...changes] }),
  );
}

/** Brings an image from its registry. */
export async function pullImage(client: Docker, image: string): Promise<void> {
  await done(client, await client.pull(image));
}

/** Docker answers while it works. */
function done(client: Docker, answer: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    client.modem.followProgress(answer, (error) => (error ? reject(error) : resolve()));
  });
}
