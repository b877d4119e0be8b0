import { openStore } from "../stores/index.ts";
import { watchContainers } from "./docker.ts";
import type { Close, FloorOptions } from "./settings.ts";

/** Docker event → inspect → one write with the bare client. */
export async function runRegistrator(options: FloorOptions): Promise<Close> {
  const { address, prefix } = options;
  const store = await openStore(options.store);
  const services = new Map<string, string>();
  const writes: Promise<void>[] = [];
  const end = await watchContainers(options, {
    started({ name, service, port }) {
      services.set(name, service);
      writes.push(store.put({ service: prefix + service, id: prefix + name, address, port }));
    },
    ended(name) {
      writes.push(store.remove({ service: prefix + services.get(name), id: prefix + name }));
    },
  });
  await Promise.all(writes.splice(0));
  return async () => {
    await end();
    await store.close();
  };
}
