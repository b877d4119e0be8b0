// The containers of a failover example, and their image.
import type Docker from "dockerode";
import { owner } from "../../test/servers/run.ts";
import { importImage, removeAll, removeImage, removeLeftovers } from "../demo/labelled.ts";
import type { Life } from "../demo/life.ts";
import { storeUser } from "./archive.ts";
import type { Store } from "./store.ts";

/** Label of every container of a failover example; its value names the process that made it. */
export const failoverLabel = "portolan.failover";

/** Containers by name, each with an address on Docker's default bridge. */
export interface Containers {
  /** Creates and starts one that runs `/start` with these variables; its address. A hidden one is not registered. */
  run(name: string, env: Readonly<Record<string, string>>, hidden?: boolean): Promise<string>;
  /** Starts one again; its address. */
  start(name: string): Promise<string>;
  /** SIGKILL. */
  kill(name: string): Promise<void>;
  remove(name: string): Promise<void>;
}

/** The proxy's ports for a store. */
export interface Ports {
  readonly write: number;
  readonly read: number;
}

/** Removes what an earlier run has left, and brings the image. At the end, containers and image go. */
export async function prepareContainers(
  life: Life,
  { client, dir }: { readonly client: Docker; readonly dir: string },
  store: Store,
  ports: Ports,
): Promise<Containers> {
  const image = `portolan-failover/${store.service}:latest`;
  await removeLeftovers(life, client, failoverLabel);
  await life.step(
    `${store.title} image`,
    async () => {
      await removeImage(client, image);
      const start = `CMD ["/start"]`;
      await importImage(client, image, await store.archive(dir), [start, `EXPOSE ${store.port}`]);
    },
    () => `${image}, made of this machine's own packages`,
  );
  life.atEnd(`image ${image}`, () => removeImage(client, image));
  life.atEnd("containers", () => removeAll(client, failoverLabel));
  const labels = {
    SERVICE_NAME: store.service,
    SERVICE_ROLE: store.service,
    // The container's own address: its port is not published.
    SERVICE_INTERNAL: "true",
    SERVICE_WRITE_PORT: String(ports.write),
    SERVICE_READ_PORT: String(ports.read),
    ...store.labels,
  };
  const named = (name: string) => client.getContainer(`${prefix}${name}`);
  const addressOf = async (name: string) => {
    const [network] = Object.values((await named(name).inspect()).NetworkSettings.Networks);
    return network?.IPAddress ?? "";
  };
  return {
    async run(name, env, hidden = false) {
      const container = await client.createContainer({
        name: `${prefix}${name}`,
        Hostname: name,
        Image: image,
        User: `${storeUser}:${storeUser}`,
        Env: Object.entries({ PATH: "/bin", ...env }).map(([key, value]) => `${key}=${value}`),
        Labels: { [failoverLabel]: owner, ...(hidden ? { SERVICE_IGNORE: "true" } : labels) },
      });
      await container.start();
      return addressOf(name);
    },
    async start(name) {
      await named(name).start();
      return addressOf(name);
    },
    kill: async (name) => void (await named(name).kill()),
    remove: async (name) => void (await named(name).remove({ force: true, v: true })),
  };
}

const prefix = "portolan-failover-";

/** How the timeline calls a container. */
export function shortName(name: string): string {
  return name.replace(prefix, "");
}
