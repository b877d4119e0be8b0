import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { countStore } from "./counted-store.ts";
import type { Subject } from "./options.ts";
import { type Result, resultOf, type Samples } from "./result.ts";
import { createSeen, type Seen } from "./seen.ts";
import type { StartedStore } from "./start-store.ts";
import { openStore } from "./stores/index.ts";
import type { BareRecord } from "./stores/store.ts";
import { anchor, wallClock } from "./wall-clock.ts";

const instancesEach = 10;
const changes = 10;
/** ms after which whatever a change costs has been paid. */
const quiet = 1_000;
/** ms of idleness that are watched. */
const idleTime = 20_000;
/** ms until all is read first. */
const patience = 120_000;
const changing = { service: "service-0", id: "changing-0", address: "10.0.0.1" };

/** A reader of the registry: the product's observation in a process of its own, or bare calls. */
interface Reader {
  readonly firstMs: number;
  readonly ports: Seen<number | undefined>;
  /** MB. */
  rss(): number;
  stop(): void;
}

/** Many services in one store: how long until all is read, what a change costs, and what nothing costs. */
export async function benchRegistry(
  subject: Exclude<Subject, "memory">,
  store: StartedStore,
  reader: string,
  size: number,
): Promise<readonly Result[]> {
  const place = "registry";
  const bare = await openStore(store.url(place));
  const records = Array.from({ length: size * instancesEach }, (_, at): BareRecord => {
    const service = `service-${at % size}`;
    const id = `${service}-${Math.floor(at / size)}`;
    return { service, id, address: `10.0.${at >> 8}.${at & 255}`, port: 80 };
  });
  await bare.fill(records);
  let port = 1_000;
  await bare.put({ ...changing, port });

  const samples = (): Samples => ({ product: [], floor: [] });
  const [firstMs, took, calls, told, bytes, rss] = [
    samples(),
    samples(),
    samples(),
    samples(),
    samples(),
    samples(),
  ];
  const [idleCalls, idleTold, idleBytes] = [samples(), samples(), samples()];
  for (const which of ["floor", "product"] as const) {
    const counted = await countStore(subject, store, place);
    const running = await startReader([reader, which, counted.url, String(records.length + 1)]);
    firstMs[which].push(running.firstMs);
    await sleep(quiet * 2);
    for (let at = 0; at < changes; at += 1) {
      port += 1;
      counted.forget();
      anchor();
      const wanted = port;
      const seen = running.ports.next((one) => one === wanted);
      const begun = wallClock();
      await bare.put({ ...changing, port });
      took[which].push((await seen) - begun);
      await sleep(quiet);
      calls[which].push(counted.calls());
      told[which].push(counted.told());
      bytes[which].push(counted.bytes() / 1024);
    }
    counted.forget();
    await sleep(idleTime);
    idleCalls[which].push(counted.calls());
    idleTold[which].push(counted.told());
    idleBytes[which].push(counted.bytes() / 1024);
    rss[which].push(running.rss());
    running.stop();
    await counted.stop();
  }
  await bare.close();
  const many = `${size} services of ${instancesEach}`;
  const seconds = idleTime / 1000;
  return [
    resultOf(subject, `${many}: start → first snapshot`, "ms", firstMs),
    resultOf(subject, `${many}: one change → new snapshot`, "ms", took),
    resultOf(subject, `${many}: requests per change`, "calls", calls),
    resultOf(subject, `${many}: messages from the store per change`, "calls", told),
    resultOf(subject, `${many}: traffic per change`, "KB", bytes),
    resultOf(subject, `${many}: idle for ${seconds} s, requests`, "calls", idleCalls),
    resultOf(subject, `${many}: idle for ${seconds} s, messages from the store`, "calls", idleTold),
    resultOf(subject, `${many}: idle for ${seconds} s, traffic`, "KB", idleBytes),
    resultOf(subject, `${many}: memory of the reader`, "MB", rss),
  ];
}

/** Resolves when it has read all. */
async function startReader(args: readonly string[]): Promise<Reader> {
  const child = spawn(process.execPath, [...args, JSON.stringify(changing)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ports = createSeen<number | undefined>("the change");
  const firstMs = await new Promise<number>((resolve, reject) => {
    setTimeout(() => reject(new Error(`${args.join(" ")}: not all read in time`)), patience).unref();
    child.once("exit", () => reject(new Error(`${args.join(" ")}: ended`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { firstMs, port, at } = JSON.parse(line) as { firstMs?: number; port?: number; at?: number };
      if (firstMs !== undefined) resolve(firstMs);
      else ports.tell(port, at);
    });
  });
  return {
    firstMs,
    ports,
    rss: () => Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "latin1"))?.[1]) / 1024,
    stop: () => void child.kill("SIGKILL"),
  };
}
