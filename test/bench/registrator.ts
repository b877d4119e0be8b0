import { setTimeout as sleep } from "node:timers/promises";
import { type BenchContainer, type Containers, floorLabel, productLabel } from "./containers.ts";
import { startFloor, startProduct } from "./measured.ts";
import type { Programs } from "./programs.ts";
import { type Result, resultOf, type Samples } from "./result.ts";
import { createSeen, type Seen } from "./seen.ts";
import { sizeOf } from "./size.ts";
import type { StartedStore } from "./start-store.ts";
import { openStore } from "./stores/index.ts";
import { anchor } from "./wall-clock.ts";

/** ms for whatever a container's event leaves to be done: it is not to meet the next sample. */
const quiet = 80;
const prefix = "floor-";

/** Docker event → record in the store, and the size of the program; product and floor in turn. */
export async function benchRegistrator(
  subject: string,
  store: StartedStore,
  containers: Containers,
  programs: Programs,
): Promise<readonly Result[]> {
  const { host } = containers;
  const url = store.url("registrator");
  const bare = await openStore(url);
  const records = {
    product: createSeen<number | undefined>("the record"),
    floor: createSeen<number | undefined>("the record of the floor"),
  };
  await bare.watch(
    { service: containers.product.service, id: containers.product.name },
    records.product.tell,
  );
  const floorRef = { service: prefix + containers.floor.service, id: prefix + containers.floor.name };
  await bare.watch(floorRef, records.floor.tell);

  const selected = ["--docker", host.dockerHost, "--ip", host.address, "--select", productLabel];
  const args = [...selected, "--node", "bench", "--ttl", "60s", "--on-exit", "deregister", url];
  const size = await sizeOf(subject, "registrator", {
    product: () => startProduct(programs.cli, "registrator", args),
    floor: () =>
      startFloor(programs.floor, "registrator", {
        store: url,
        docker: host.socket,
        address: host.address,
        label: floorLabel,
        prefix,
      }),
  });
  const { product, floor } = size.running;

  const appeared: Samples = { product: [], floor: [] };
  const gone: Samples = { product: [], floor: [] };
  for (let round = -warmUps; round < programs.n; round += 1) {
    product.pause();
    const bottom = await cycle(containers.floor, records.floor);
    product.resume();
    await sleep(quiet);
    const top = await cycle(containers.product, records.product);
    if (round < 0) continue;
    appeared.floor.push(bottom.appeared);
    gone.floor.push(bottom.gone);
    appeared.product.push(top.appeared);
    gone.product.push(top.gone);
  }
  const idle = await size.idle();
  await Promise.all([product.stop(), floor.stop()]);
  for (const { name, service } of containers.standing)
    await bare.remove({ service: prefix + service, id: prefix + name }).catch(() => {});
  await bare.close();
  return [
    resultOf(subject, "container started → record readable", "ms", appeared),
    resultOf(subject, "container ended → record gone", "ms", gone),
    ...idle,
  ];
}

/** Samples that are taken and forgotten, so that code is compiled and connections are warm. */
const warmUps = 3;

/** One start and one end of a container: ms from Docker's event to what the watch has read. */
async function cycle(container: BenchContainer, record: Seen<number | undefined>) {
  anchor();
  const appearing = record.next((port) => port !== undefined);
  const [readable] = await Promise.all([appearing, container.start()]);
  const started = await container.lastEvent("start");
  await sleep(quiet);
  anchor();
  const vanishing = record.next((port) => port === undefined);
  const [absent] = await Promise.all([vanishing, container.end()]);
  await container.ended();
  const died = await container.lastEvent("die");
  await sleep(quiet);
  return { appeared: readable - started, gone: absent - died };
}
