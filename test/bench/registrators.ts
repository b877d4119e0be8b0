import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "../servers/wait.ts";
import { type BusyStore, startBusyServer } from "./registrators/busy-server.ts";
import { startFleet } from "./registrators/fleet.ts";
import { type Result, resultOf } from "./result.ts";

/** Containers on each host. */
const containers = 3;
/** The time to live of the registrators' records in seconds, as by default. */
const ttl = 15;
/** ms of steadiness that are watched. */
const steady = 30_000;
/** ms that the server is away at least: each host misses a heartbeat, and none its time to live. */
const away = 8_000;

/** Many registrators on one server: what they ask when nothing happens, and what when it was killed and comes back. */
export async function benchRegistrators(
  subject: BusyStore,
  program: string,
  count: number,
  say: (line: string) => void,
): Promise<readonly Result[]> {
  const server = await startBusyServer[subject]();
  const fleet = startFleet(program, server.urls, count, containers);
  const are = (what: string, wanted: number, within: number) =>
    waitFor(
      what,
      async () => {
        const inStep = await fleet.ask("inStep");
        if (inStep.length === wanted) return true;
        throw new Error(`${inStep.length} are in step`);
      },
      { within, every: 500 },
    );
  try {
    say(`\nstarting ${count} registrators on ${subject}`);
    await are("all registrators to be in step", count, 600_000);
    await sleep(10_000);

    const before = await server.counts();
    const begun = performance.now();
    await sleep(steady);
    const after = await server.counts();
    const seconds = (performance.now() - begun) / 1000;

    await fleet.ask("forget");
    await server.kill();
    const killed = performance.now();
    await are("all registrators to notice that the server is away", 0, 60_000);
    await sleep(Math.max(0, away - (performance.now() - killed)));
    await server.start();
    const back = Date.now();
    await are("all registrators to be in step again", count, 120_000);
    const took = (await fleet.ask("inStep")).map((since) => since - back);
    const failures = await fleet.ask("failures");

    const many = `${count} registrators`;
    const alone = { floor: [] };
    return [
      resultOf(
        subject,
        `${many}: heartbeats on the server`,
        "/s",
        { product: [(after.beats - before.beats) / seconds], floor: [count / (ttl / 3)] },
        { ratio: 1.1 },
      ),
      resultOf(
        subject,
        `${many}: writes on the server`,
        "/s",
        { product: [(after.writes - before.writes) / seconds], ...alone },
        { upTo: 0 },
      ),
      resultOf(
        subject,
        `${many}: server away, tries of one in its busiest second`,
        "/s",
        { product: [Math.max(...failures.map(busiest))], ...alone },
        { upTo: 3 },
      ),
      resultOf(subject, `${many}: server away, tries of all in their busiest second`, "/s", {
        product: [busiest(failures.flat().sort((a, b) => a - b))],
        ...alone,
      }),
      resultOf(subject, `${many}: server back → one is in step`, "ms", { product: took, ...alone }),
      resultOf(
        subject,
        `${many}: server back → all are in step`,
        "ms",
        { product: [Math.max(...took)], ...alone },
        { below: 15_000 },
      ),
    ];
  } finally {
    fleet.stop();
    await server.stop();
  }
}

/** The greatest number of moments, which are in order and in ms, that lie in one second. */
function busiest(moments: readonly number[]): number {
  let most = 0;
  let first = 0;
  for (const [at, moment] of moments.entries()) {
    while (moment - (moments[first] ?? 0) >= 1000) first += 1;
    most = Math.max(most, at - first + 1);
  }
  return most;
}
