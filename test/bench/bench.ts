// `npm run bench`: what the product takes beside what it cannot do without; see README.md.
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { ensureInstalled } from "../servers/install.ts";
import { cleanLeftovers } from "../servers/leftovers.ts";
import { benchAgent } from "./agent.ts";
import { buildFloor } from "./build-floor.ts";
import { type Containers, startContainers } from "./containers.ts";
import { readOptions, type Subject } from "./options.ts";
import type { Programs } from "./programs.ts";
import { benchRegistrator } from "./registrator.ts";
import { type Result, tableOf } from "./result.ts";
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

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  await cleanLeftovers();
  const { haproxy } = await ensureInstalled(["docker", "haproxy", "busybox", "etcd", "consul", "zookeeper"]);
  const [floor, containers] = await Promise.all([buildFloor(), startContainers()]);
  const programs: Programs = { cli: options.cli, floor, haproxy: haproxy.haproxy, n: options.n };
  const results: Result[] = [];
  const loads: Record<string, readonly string[]> = { start: load() };
  try {
    for (const subject of options.only) {
      const begun = performance.now();
      const found =
        subject === "memory"
          ? await benchAgent(containers, programs)
          : await benchStore(subject, containers, programs);
      results.push(...found);
      loads[subject] = load();
      const seconds = Math.round((performance.now() - begun) / 1000);
      say(`\n${tableOf(found)}\n(${seconds} s; load average ${load().join(" ")})`);
    }
  } finally {
    await containers.host.stop();
  }
  const order = [...new Set(results.map(({ what }) => what))];
  const sorted = order.flatMap((what) => results.filter((result) => result.what === what));
  process.stdout.write(`\n${tableOf(sorted)}\n`);
  const run = { node: process.version, loadAverage: loads, results: sorted };
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(run, undefined, 1)}\n`);
  return 0;
}

try {
  process.exit(await main());
} catch (error) {
  say(`bench: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exit(1);
}
