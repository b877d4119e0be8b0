// `node main.js product|floor URL COUNT REF`: reads a registry of COUNT instances and follows the one of REF, which is
// JSON. Prints a line of JSON when all of it is read first, and one for each port that is seen then.
import { openBackend } from "../../../src/backends/index.ts";
import { openStore } from "../stores/index.ts";
import type { BareRef } from "../stores/store.ts";
import { wallClock } from "../wall-clock.ts";

const [which, url = "", count = "0", ref = "{}"] = process.argv.slice(2);
const { service, id } = JSON.parse(ref) as BareRef;
const begun = performance.now();
const tell = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);
const isAll = (known: number) => known >= Number(count);
const first = () => tell({ firstMs: performance.now() - begun });
const seen = (port: number | undefined) => tell({ port, at: wallClock() });

async function readAsProduct(): Promise<void> {
  const backend = await openBackend(url, { env: {} });
  const observation = backend.observe({ services: "all" });
  let isFirst = true;
  let last: number | undefined;
  const look = () => {
    const now = observation.current();
    if (!now.known || !now.value.complete) return;
    if (isFirst) {
      let known = 0;
      for (const list of now.value.services.values()) known += list.length;
      if (!isAll(known)) return;
      isFirst = false;
      first();
    }
    const port = now.value.services.get(service)?.find((one) => one.id === id)?.port;
    if (port !== last) seen(port);
    last = port;
  };
  observation.subscribe(look);
  look();
}

async function readBare(): Promise<void> {
  const store = await openStore(url);
  if (!isAll(await store.count())) throw new Error(`${url}: not all of ${count} are there`);
  first();
  await store.watch({ service, id }, seen);
}

await (which === "product" ? readAsProduct() : readBare());
