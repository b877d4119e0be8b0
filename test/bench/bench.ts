// `npm run bench`: what the product takes beside what it cannot do without; see README.md.
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { ensureInstalled } from "../servers/install.ts";
import { cleanLeftovers } from "../servers/leftovers.ts";
import { benchAgent } from "./agent.ts";
import { buildProgram } from "./build-program.ts";
import { type Containers, startContainers } from "./containers.ts";
import { startCrowd } from "./crowd.ts";
import { benchIdle, idleContainers } from "./idle.ts";
import { benchImage } from "./image.ts";
import { type BenchOptions, readOptions, type Subject } from "./options.ts";
import type { Programs } from "./programs.ts";
import { benchRegistrator } from "./registrator.ts";
import { benchRegistrators } from "./registrators.ts";
import { benchRegistry } from "./registry.ts";
import { benchRender } from "./render.ts";
import { type Result, tableOf } from "./result.ts";
import { benchScale } from "./scale.ts";
import { startStore } from "./start-store.ts";
import { benchTemplater } from "./templater.ts";

const say = (line: string) => void process.stderr.write(`${line}\n`);
const load = () => loadavg().map((one) => one.toFixed(2));

// At the exit everything that was started is ended.
process.on("SIGINT", () => process.exit(130));
process.on("SIGTERM", () => process.exit(143));

async function benchStore(
  name: Exclude<Subject, "memory">,
  containers: Containers,
  programs: Programs,
): Promise<readonly Result[]> {
  const store = await startStore(name);
  try {
    const registrator = await benchRegistrator(name, store, containers, programs);
    return [...registrator, ...(await benchTemplater(name, store, programs))];
  } finally {
    await store.stop();
  }
}

/** Takes note of results when they come, and says them. */
interface Notes {
  readonly results: Result[];
  readonly loads: Record<string, readonly string[]>;
}

async function noting(notes: Notes, what: string, measure: () => Promise<readonly Result[]>): Promise<void> {
  const begun = performance.now();
  const found = await measure();
  notes.results.push(...found);
  notes.loads[what] = load();
  const seconds = Math.round((performance.now() - begun) / 1000);
  say(`\n${tableOf(found)}\n(${seconds} s; load average ${load().join(" ")})`);
}

async function latencies(options: BenchOptions, programs: Programs, notes: Notes): Promise<void> {
  const containers = await startContainers();
  try {
    for (const subject of options.only) {
      await noting(notes, subject, () =>
        subject === "memory" ? benchAgent(containers, programs) : benchStore(subject, containers, programs),
      );
    }
  } finally {
    await containers.host.stop();
  }
}

async function scale(options: BenchOptions, programs: Programs, notes: Notes): Promise<void> {
  say(`\nstarting ${options.scale} containers`);
  const crowd = await startCrowd(options.scale);
  try {
    for (const subject of options.only) {
      if (subject === "memory") continue;
      await noting(notes, `${subject}, ${options.scale} containers`, async () => {
        const store = await startStore(subject);
        return benchScale(subject, store, crowd, programs).finally(store.stop);
      });
    }
  } finally {
    await crowd.stop();
  }
}

async function registry(options: BenchOptions, notes: Notes): Promise<void> {
  const reader = await buildProgram("registry/main.ts");
  for (const subject of options.only) {
    if (subject === "memory") continue;
    await noting(notes, `${subject}, ${options.registry} services`, async () => {
      const store = await startStore(subject);
      return benchRegistry(subject, store, reader, options.registry).finally(store.stop);
    });
  }
}

async function idle(options: BenchOptions, notes: Notes): Promise<void> {
  await cleanLeftovers();
  const { haproxy } = await ensureInstalled(["docker", "haproxy", "busybox", "etcd", "consul", "zookeeper"]);
  const programs: Programs = { cli: options.cli, floor: "", haproxy: haproxy.haproxy, n: 0 };
  const crowd = await startCrowd(idleContainers);
  try {
    for (const subject of options.idle)
      await noting(notes, `${subject}, idle`, () => benchIdle(subject, crowd, programs));
  } finally {
    await crowd.stop();
  }
}

async function registrators({ registrators }: BenchOptions, notes: Notes): Promise<void> {
  await cleanLeftovers();
  await ensureInstalled(registrators.stores);
  const program = await buildProgram("registrators/main.ts");
  for (const store of registrators.stores) {
    await noting(notes, `${store}, ${registrators.count} registrators`, () =>
      benchRegistrators(store, program, registrators.count, say),
    );
  }
}

async function image(notes: Notes): Promise<void> {
  await cleanLeftovers();
  await ensureInstalled(["docker", "busybox"]);
  await noting(notes, "image", benchImage);
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  const notes: Notes = { results: [], loads: { start: load() } };
  if (options.render) await noting(notes, "render", benchRender);
  if (options.only.length > 0) await benchServers(options, notes);
  if (options.registrators.stores.length > 0) await registrators(options, notes);
  if (options.idle.length > 0) await idle(options, notes);
  if (options.image) await image(notes);
  const { results, loads } = notes;
  const order = [...new Set(results.map(({ what }) => what))];
  const sorted = order.flatMap((what) => results.filter((result) => result.what === what));
  process.stdout.write(`\n${tableOf(sorted)}\n`);
  const run = { node: process.version, loadAverage: loads, results: sorted };
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(run, undefined, 1)}\n`);
  return 0;
}

/** All that needs servers and the built product. */
async function benchServers(options: BenchOptions, notes: Notes): Promise<void> {
  await cleanLeftovers();
  const { haproxy } = await ensureInstalled(["docker", "haproxy", "busybox", "etcd", "consul", "zookeeper"]);
  const floor = await buildProgram("floor/main.ts");
  const programs: Programs = { cli: options.cli, floor, haproxy: haproxy.haproxy, n: options.n };
  if (options.n > 0) await latencies(options, programs, notes);
  if (options.scale > 0) await scale(options, programs, notes);
  if (options.registry > 0) await registry(options, notes);
}

try {
  process.exit(await main());
} catch (error) {
  say(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exit(1);
}
