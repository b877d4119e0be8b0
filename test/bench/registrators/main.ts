// `node main.js FIRST COUNT CONTAINERS URL…`: lets COUNT registrators run, of the hosts FIRST and on, over a Docker that
// stands still, each with its own connections to the store, at the URLs by turns. Tells its parent how they are whenever
// that asks.
import { openBackend } from "../../../src/backends/index.ts";
import type { Log } from "../../../src/log.ts";
import { type Registrator, startRegistrator } from "../../../src/registrator/index.ts";
import { settings } from "../../registrator/build.ts";
import { inTurns } from "../stores/store.ts";
import { type Door, openDoor } from "./door.ts";
import { stillDocker } from "./still-docker.ts";

/**
 * What the parent asks: of each one that is in step with the store, since when; of each one, when it tried to connect
 * and nothing was there, in Unix times in ms; or to forget these failures until now.
 */
export interface Asks {
  inStep: readonly number[];
  failures: readonly (readonly number[])[];
  forget: readonly never[];
}

const [first = "0", count = "0", containers = "0", ...urls] = process.argv.slice(2);

interface Host {
  readonly door: Door;
  readonly registrator: Registrator;
  inStep: number | undefined;
}
const hosts: Host[] = [];
const silence = new Proxy({} as Log, { get: () => () => {} });

async function startHost(number: number): Promise<void> {
  const place = new URL(urls[number % urls.length] ?? "");
  const door = await openDoor(Number(place.port));
  place.port = String(door.port);
  const name = `host-${number}`;
  const registrator = startRegistrator({
    docker: name,
    backends: [await openBackend(place.href.replace(/\/$/, ""), { env: {} })],
    settings: settings({ ip: `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}` }),
    env: {},
    log: silence,
    connect: stillDocker(name, Number(containers)),
  });
  hosts.push({ door, registrator, inStep: undefined });
  await registrator.synced(new AbortController().signal);
}

/** ms between two looks at who is in step. */
const every = 100;
setInterval(() => {
  const now = Date.now();
  for (const host of hosts) {
    host.inStep = host.registrator.notReady().length > 0 ? undefined : (host.inStep ?? now);
  }
}, every);

const answers: { readonly [A in keyof Asks]: () => Asks[A] } = {
  inStep: () => hosts.flatMap(({ inStep }) => inStep ?? []),
  failures: () => hosts.map(({ door }) => door.failures()),
  forget() {
    for (const { door } of hosts) door.forget();
    return [];
  },
};
process.on("message", (ask: keyof Asks) => process.send?.(answers[ask]()));
process.on("disconnect", () => process.exit());

// A few at a time: hosts do not start all at once.
const numbers = Array.from({ length: Number(count) }, (_, at) => Number(first) + at);
await inTurns(numbers, 4, startHost);
