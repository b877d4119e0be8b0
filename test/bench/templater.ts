import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { tempDir } from "../servers/run.ts";
import { startFloor, startProduct } from "./measured.ts";
import type { Programs } from "./programs.ts";
import { listenToReloads, type Reloads } from "./reloads.ts";
import { type Result, resultOf } from "./result.ts";
import { sizeOf } from "./size.ts";
import type { StartedStore } from "./start-store.ts";
import { openStore } from "./stores/index.ts";
import type { BareRecord } from "./stores/store.ts";
import { type BenchTarget, createTarget } from "./target.ts";
import { anchor, wallClock } from "./wall-clock.ts";

/** Changes in a row of one program, before it is the others' turn. */
const inARow = 5;
/** ms after a reload until the next change: beyond `minInterval`, with the program at rest. */
const rest = 100;
const changing = { service: "changing", id: "changing-0", address: "10.0.0.1", host: "changing.test" };

/** Record → file swapped and reloaded, and the size of the program; product and floor in turn. */
export async function benchTemplater(
  subject: string,
  store: StartedStore,
  programs: Programs,
): Promise<readonly Result[]> {
  const url = store.url("templater");
  const bare = await openStore(url);
  const reloads = listenToReloads();
  let port = 10_000;
  const records = world(port);
  for (const record of records) await bare.put(record);

  const launch = ({ config, env }: BenchTarget, wait: string) =>
    startProduct(programs.cli, "templater", ["--config", config, "--wait", wait, url], env);
  const target = createTarget(programs.haproxy, reloads.pidFile);
  const eager = createTarget(programs.haproxy, reloads.pidFile);
  const eagerProgram = await launch(eager, "0ms:2s");
  const text = readFileSync(eager.destination, "utf8").replaceAll(`10.0.0.1:${port}`, "10.0.0.1:@PORT@");
  const size = await sizeOf(subject, "templater", {
    product: () => launch(target, "25ms:2s"),
    floor: () =>
      startFloor(programs.floor, "templater", {
        store: url,
        watched: changing,
        destination: join(tempDir("bench-floor"), "haproxy.cfg"),
        text,
        haproxy: programs.haproxy,
        pid: process.pid,
      }),
  });
  const { product, floor } = size.running;
  const contenders = [
    { program: floor, samples: [] as number[] },
    { program: product, samples: [] as number[] },
    { program: eagerProgram, samples: [] as number[] },
  ] as const;
  for (const { program } of contenders) program.pause();
  // The first turn of each is taken and forgotten: code is compiled, connections are warm.
  for (let done = -inARow; done < programs.n; done += inARow) {
    for (const { program, samples } of contenders) {
      program.resume();
      await reloads.quiet(400);
      for (let count = 0; count < Math.min(inARow, programs.n - done); count += 1) {
        port += 1;
        const took = await change(() => bare.put({ ...changing, port }), reloads);
        if (done >= 0) samples.push(took);
        await sleep(rest);
      }
      program.pause();
    }
  }
  for (const { program } of contenders) program.resume();
  await reloads.quiet(1_000);
  const idle = await size.idle();
  await Promise.all(contenders.map(({ program }) => program.stop()));
  for (const record of records) await bare.remove(record);
  await bare.close();
  reloads.close();
  const [bottom, top, topEager] = contenders.map(({ samples }) => samples);
  const samples = (of: number[] | undefined) => ({ product: of ?? [], floor: bottom ?? [] });
  return [
    resultOf(subject, "record → swapped and reloaded", "ms", samples(top)),
    resultOf(subject, "record → reloaded, --wait 0ms:2s", "ms", samples(topEager)),
    ...idle,
  ];
}

/** Twenty instances of ten services; the one that changes has this port. */
function world(port: number): readonly BareRecord[] {
  const others = Array.from({ length: 19 }, (_, at): BareRecord => {
    const service = `service-${at >> 1}`;
    return { service, id: `${service}-${at}`, address: "10.0.0.2", port: 8000 + at, host: `${service}.test` };
  });
  return [{ ...changing, port }, ...others];
}

async function change(write: () => Promise<void>, reloads: Reloads): Promise<number> {
  anchor();
  const reloaded = reloads.next();
  const begun = wallClock();
  await write();
  return (await reloaded) - begun;
}
