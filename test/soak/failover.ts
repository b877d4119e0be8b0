// `npm run soak:failover`: masters die, come back and hand over, again and again, under writes; see README.md.
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { now } from "../../examples/demo/journal.ts";
import { type Life, runLife } from "../../examples/demo/life.ts";
import { line } from "../../examples/demo/terminal.ts";
import { comeBack, failOver } from "../../examples/failover/failover.ts";
import { type Stage, startStage } from "../../examples/failover/stage.ts";
import type { Store } from "../../examples/failover/store.ts";
import { startWriter, type Writer } from "../../examples/failover/writer.ts";
import { postgres } from "../../examples/failover-postgres/postgres.ts";
import { handOver, redis, unwatchedRedis } from "../../examples/failover-redis/redis.ts";
import { tempDir } from "../servers/run.ts";
import { countOption } from "./count-option.ts";

/** ms within which writers reach the new master, from the moment at which it takes writes. */
const promised = 1_000;

/** What is looked at in one part. */
interface Part {
  readonly stage: Stage;
  readonly writer: Writer;
  /** What went wrong, in words. */
  readonly wrong: string[];
}

/** Runs one part on a stage of its own, under writes, and says what every rendered file and every write was. */
async function part(
  life: Life,
  store: Store,
  work: (part: Part) => Promise<void>,
): Promise<readonly string[]> {
  const files = join(tempDir("rendered"), "files");
  mkdirSync(files);
  // Each file that is rendered is checked before anything else: this check keeps it.
  const script = 'cp "$1" "$(mktemp "$2/XXXXXXXXXX")" && exec haproxy -c -f "$1"';
  const stage = await startStage(life, store, { check: ["sh", "-c", script, "sh", "{{src}}", files] });
  const writer = startWriter(stage.connect);
  life.atEnd("writer", writer.stop);
  await life.until("the first write", () => writer.writes.some(({ by }) => by !== undefined));
  const wrong: string[] = [];
  await work({ stage, writer, wrong });
  await writer.stop();

  const rendered = readdirSync(files).map((name) => readFileSync(join(files, name), "utf8"));
  const masters = rendered.map((text) => mastersOf(text, store.service));
  const odd = masters.filter((count) => count !== 1);
  if (odd.length > 0)
    wrong.push(`${odd.length} rendered files have not one master but ${[...new Set(odd)].join(" or ")}`);
  const { writes } = writer;
  const refused = writes.filter(({ bySlave }) => bySlave).length;
  const failed = writes.filter(({ failure }) => failure !== undefined).length;
  line(`  ${writes.length} writes: ${failed} failed, ${refused} of them because a slave was asked`);
  line(
    `  ${rendered.length} files rendered, ${rendered.length - odd.length} of them with exactly one master`,
  );
  return wrong;
}

/** How many servers a file leads writers to. */
function mastersOf(text: string, service: string): number {
  const section = text.split(/^(?=listen )/m).find((part) => part.startsWith(`listen write_${service}\n`));
  return section?.match(/^ +server /gm)?.length ?? 0;
}

/** Kills masters; each comes back when another one has taken over, still believing in itself. */
const kills =
  (life: Life, count: number) =>
  async ({ stage, writer, wrong }: Part): Promise<void> => {
    const outages: number[] = [];
    const delays: number[] = [];
    for (let at = 0; at < count; at++) {
      const failover = await failOver(life, stage, writer);
      const { killed, killedAt, master, masterAt, through } = failover;
      outages.push(through.endedAt - killedAt);
      delays.push(Math.max(0, through.endedAt - masterAt));
      const back = await comeBack(life, stage, writer, failover);
      const stale = back.writes.filter(({ by }) => by === killed);
      const refused = writer.writes.filter(({ bySlave, endedAt }) => bySlave && endedAt > killedAt);
      const ms = (from: number, to: number) => `${Math.round(to - from)} ms`;
      line(
        `  ${String(at + 1).padStart(3)}. ${killed} -> ${master}: ${ms(killedAt, through.endedAt)} without writes, ` +
          `${ms(masterAt, through.endedAt)} of them with a master; back after ${ms(back.revivedAt, back.rejoinedAt)}, ` +
          `${stale.length} of ${back.writes.length} writes to it; ${refused.length} writes refused by a slave`,
      );
      for (const { endedAt } of refused.slice(0, 1))
        line(`       the first ${ms(killedAt, endedAt)} after its death`);
      if (stale.length > 0) wrong.push(`${stale.length} writes went to ${killed}, which had come back`);
    }
    if (writer.writes.some(({ bySlave }) => bySlave)) wrong.push("a write came to a slave");
    showSpread("from the death of the master to the first write at the next", outages);
    showSpread("from the moment at which the new master takes writes", delays);
    const late = delays.filter((delay) => delay >= promised);
    if (late.length > 0) wrong.push(`${late.length} of ${count} failovers took ${promised} ms or more`);
  };

/** Hands the master's role on, at moments that have nothing to do with those of the probes. */
const changes =
  (life: Life, count: number) =>
  async ({ stage, writer, wrong }: Part): Promise<void> => {
    const delays: number[] = [];
    const { cluster } = stage;
    for (let at = 0; at < count; at++) {
      const current = writer.writes.findLast(({ by }) => by !== undefined)?.by ?? "";
      const next = cluster.servers[(cluster.servers.indexOf(current) + 1) % cluster.servers.length] ?? "";
      const { done } = await handOver(cluster, next);
      const from = now();
      await done;
      const through = await life.until(
        `a write at ${next}`,
        () => writer.writes.find(({ by, endedAt }) => by === next && endedAt > from),
        60_000,
      );
      delays.push(through.endedAt - from);
      await sleep(1_000 + 500 * Math.random(), undefined, { signal: life.signal });
    }
    showSpread("from the change of the role to the first write at the new master", delays);
    const p99 = shareOf(delays, 0.99);
    if (p99 >= promised) wrong.push(`the 99th percentile is ${Math.round(p99)} ms`);
  };

/** The sample below which this share of all lies (nearest rank). */
function shareOf(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

function showSpread(what: string, samples: readonly number[]): void {
  const shares = [0, 0.25, 0.5, 0.75, 0.9, 0.99, 1];
  const words = shares.map((share) => `p${share * 100} ${Math.round(shareOf(samples, share))}`);
  line(`  ${what}, ms (n=${samples.length}): ${words.join("  ")}`);
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      redis: { type: "string", default: "20" },
      postgres: { type: "string", default: "5" },
      changes: { type: "string", default: "200" },
    },
  });
  const numberOf = (name: keyof typeof values) =>
    countOption(values, name, { least: 0, what: "times; 0 leaves this part out" });
  return { redis: numberOf("redis"), postgres: numberOf("postgres"), changes: numberOf("changes") };
}

async function main(): Promise<number> {
  const counts = readOptions();
  const parts = [
    { count: counts.redis, what: "masters of Redis are killed", store: redis, work: kills },
    { count: counts.postgres, what: "primaries of PostgreSQL are killed", store: postgres, work: kills },
    { count: counts.changes, what: "masters of Redis hand over", store: unwatchedRedis, work: changes },
  ];
  let failed = 0;
  for (const { count, what, store, work } of parts) {
    if (count === 0) continue;
    line(`soak: ${count} ${what}`);
    const wrong: string[] = [];
    const code = await runLife(async (life) => {
      wrong.push(...(await part(life, store, work(life, count))));
    });
    for (const one of wrong) line(`  WRONG: ${one}`);
    if (code !== 0) return code;
    failed += wrong.length;
  }
  return failed === 0 ? 0 : 1;
}

process.exit(await main());
