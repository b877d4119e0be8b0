import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

/** Something that goes wrong, and ends with everything running again. */
export interface Disturbance {
  readonly name: string;
  run(): Promise<void>;
}

/** ms for which a killed process is away: sometimes longer than its records live. */
const longest = 6_000;

/** Picks something to go wrong. `spare` leaves the two processes alive. */
export function pickDisturbance(world: World, random: Random, spare: boolean): Disturbance {
  const away = random.next() < 0.5 ? 0 : random.next() * longest;
  const killed = (daemon: World["registrator"]): Disturbance => ({
    name: `${daemon.name} killed for ${Math.round(away)} ms`,
    async run() {
      await daemon.kill();
      await sleep(away);
      await daemon.start();
    },
  });
  const still = 500 + random.next() * longest;
  const stoodStill = (what: string, who: { pause(): void; resume(): void }): Disturbance => ({
    name: `${what} stood still for ${Math.round(still)} ms`,
    async run() {
      who.pause();
      await sleep(still);
      who.resume();
    },
  });
  const docker = (signal: "SIGTERM" | "SIGKILL"): Disturbance => ({
    name: `Docker restarted by ${signal}`,
    run: () => world.host.restart({ signal }),
  });
  const { registrator, templater, host, store } = world;
  const backend = Object.entries(store.disturbances).map(([name, run]) => ({ name, run }));
  if (store.server) backend.push(stoodStill("backend", store.server));
  const pauses = [
    stoodStill("Docker", host),
    stoodStill("registrator", registrator),
    stoodStill("templater", templater),
  ];
  const kills = spare ? [] : [killed(registrator), killed(templater)];
  return random.pick([docker("SIGTERM"), docker("SIGKILL"), ...backend, ...pauses, ...kills]);
}
