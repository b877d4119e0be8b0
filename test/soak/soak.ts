// `npm run soak`: everything goes wrong again and again, and has to be in order afterwards; see README.md.
import { copyFileSync, mkdirSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { cleanLeftovers } from "../servers/leftovers.ts";
import { readOptions } from "./options.ts";
import { runSoak, say } from "./run.ts";
import { type Soaked, soakBackend } from "./soak-backend.ts";
import type { World } from "./world.ts";

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  await cleanLeftovers();
  const each = `${Math.round(options.time / 1000)} s on each of ${options.only.join(", ")}`;
  say(`seed ${options.seed}, ${options.containers} containers, ${each}`);
  const all: Soaked[] = [];
  for (const backend of options.only) {
    const keepLogs = (world: World) => {
      if (options.logs === undefined) return;
      mkdirSync(options.logs, { recursive: true });
      for (const { name, logFile } of [world.registrator, world.templater])
        copyFileSync(logFile, join(options.logs, `${backend}-${name}.log`));
    };
    const soaked = await soakBackend(backend, options, say, keepLogs);
    all.push(soaked);
    report(soaked);
  }
  const failures = all.flatMap(failuresOf);
  say(
    `load average ${loadavg()
      .map((one) => one.toFixed(2))
      .join(" ")}`,
  );
  for (const failure of failures) say(failure);
  const phases = all.reduce((sum, { settled, failures: failed }) => sum + settled.length + failed.length, 0);
  say(
    failures.length === 0
      ? `in order after each of ${phases} phases`
      : `${failures.length} differences in ${phases} phases; the seed was ${options.seed}`,
  );
  return failures.length === 0 ? 0 : 1;
}

function failuresOf({ backend, failures, trends }: Soaked): readonly string[] {
  const grown = trends.filter(({ flat }) => !flat);
  return [
    ...failures,
    ...grown.map(({ process: name, what, first, last }) => {
      return `${backend}: ${what} of the ${name} grew from ${first.toFixed(0)} to ${last.toFixed(0)}`;
    }),
  ];
}

/** Nearest rank. */
function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return Math.round(sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN);
}

function report({ backend, counts, settled, seen, trends }: Soaked): void {
  const did = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${name} ${count}`);
  say(`${backend}: ${did.join(", ")}`);
  const [best, worst] = [Math.min(...settled), Math.max(...settled)].map(Math.round);
  if (settled.length > 0)
    say(`${backend}: in order after ${best} to ${worst} ms in ${settled.length} phases`);
  if (seen.length > 0) {
    const [median, p99] = [percentile(seen, 0.5), percentile(seen, 0.99)];
    say(
      `${backend}: a single start or end is seen after ${median} ms, p99 ${p99} ms (${seen.length} of them)`,
    );
  }
  for (const { process: name, what, first, last, flat } of trends)
    say(`${backend}: ${name} ${what}: ${first.toFixed(0)} → ${last.toFixed(0)}${flat ? "" : ", not flat"}`);
}

await runSoak(main);
