import { setTimeout as sleep } from "node:timers/promises";
import { startConvergence } from "./convergence.ts";
import { type Disturbance, pickDisturbance } from "./disturb.ts";
import type { BackendName, SoakOptions } from "./options.ts";
import { createRandom } from "./random.ts";
import { recordUsage, type Trend, trendsOf } from "./usage.ts";
import { differences } from "./verify.ts";
import { watchServers } from "./witness.ts";
import { startWorld, type World } from "./world.ts";

/** What came out on one backend. */
export interface Soaked {
  readonly backend: BackendName;
  /** What was done, by name. */
  readonly counts: ReadonlyMap<string, number>;
  /** ms from the end of the stir to the first moment at which nothing differed, by phase. */
  readonly settled: readonly number[];
  readonly trends: readonly Trend[];
  /** ms from a single start or end of a container to the reader of the backend, in no order. */
  readonly seen: readonly number[];
  /** One text for each phase that did not come to rest. */
  readonly failures: readonly string[];
}

/** ms of stirring in a phase. */
const phaseTime = 12_000;
/** ms for everything to come to rest: ten times what the longest promise says, which is R + 1 s. */
const patience = 60_000;

/** Soaks one backend for the given time. */
export async function soakBackend(
  backend: BackendName,
  { cli, time, seed, probes, ...size }: SoakOptions,
  say: (line: string) => void,
  onFailure: (world: World) => void,
): Promise<Soaked> {
  const world = await startWorld(cli, backend, size);
  const convergence = await startConvergence(world);
  const random = createRandom(seed);
  const counts = new Map<string, number>();
  const settled: number[] = [];
  const seen: number[] = [];
  const failures: string[] = [];
  let begun = performance.now();
  let recordings: ReturnType<typeof recordUsage>[] = [];
  try {
    await settle(world);
    begun = performance.now();
    for (let phase = 1; performance.now() - begun < time; phase += 1) {
      const spare = performance.now() - begun > time / 2;
      if (spare && recordings.length === 0)
        recordings = [world.registrator, world.templater].map((daemon) => recordUsage(daemon));
      const disturbances = [pickDisturbance(world, random, spare), pickDisturbance(world, random, spare)];
      const names = disturbances.map(({ name }) => name).join(", ");
      const witness = watchServers(world.target.destination);
      await stir(world, random.fork(), disturbances);
      for (const { name } of disturbances) {
        const kind = name.replace(/ for .*/, "");
        counts.set(kind, (counts.get(kind) ?? 0) + 1);
      }
      const { ms, left } = await settle(world);
      const fewest = `fewest servers ${witness.stop()}`;
      if (left.length === 0) {
        settled.push(ms);
        say(`${backend}: phase ${phase}: ${names}: in order after ${Math.round(ms)} ms; ${fewest}`);
        for (let probe = 0; probe < probes; probe += 1) {
          const took = await convergence.probe(random);
          if (took === undefined) failures.push(`${backend}: phase ${phase}: a single change was not seen`);
          else seen.push(took);
        }
        continue;
      }
      const failure = `${backend}: phase ${phase}: ${names}: still wrong after ${patience} ms:\n  ${left.join("\n  ")}`;
      failures.push(failure);
      say(failure);
      onFailure(world);
    }
  } finally {
    for (const recording of recordings) recording.stop();
    await convergence.stop();
    await world.stop();
  }
  for (const [name, count] of world.fleet.counts) counts.set(name, count);
  return { backend, counts, settled, seen, trends: recordings.flatMap(trendsOf), failures };
}

/** Containers come and go, and in the middle of it things go wrong, one after the other. */
async function stir(
  world: World,
  random: ReturnType<typeof createRandom>,
  disturbances: readonly Disturbance[],
): Promise<void> {
  const ending = new AbortController();
  const stirring = world.fleet.stir(random.fork(), ending.signal);
  const pause = phaseTime / (disturbances.length + 1);
  for (const { run } of disturbances) {
    await sleep(pause * random.next() * 2);
    await run();
  }
  await sleep(pause * random.next() * 2);
  ending.abort();
  await stirring;
}

/** Waits until nothing differs, and looks once more a moment later. */
async function settle(world: World): Promise<{ readonly ms: number; readonly left: readonly string[] }> {
  const begun = performance.now();
  let ms = 0;
  let left: readonly string[] = ["not looked yet"];
  while (performance.now() - begun < patience) {
    left = await look(world);
    if (left.length === 0) {
      ms ||= performance.now() - begun;
      await sleep(1_000);
      left = await look(world);
      if (left.length === 0) return { ms, left };
      ms = 0;
    }
    await sleep(100);
  }
  return { ms: patience, left };
}

/** A command that fails, for example because the backend is coming up, is a difference as well. */
function look(world: World): Promise<readonly string[]> {
  return differences(world).catch((error: Error) => [error.message]);
}
