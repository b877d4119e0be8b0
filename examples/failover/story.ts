// The story that each example tells: a master dies, another one takes over, the first one comes back.
import { parseArgs } from "node:util";
import { now } from "../demo/journal.ts";
import { type Life, runLife } from "../demo/life.ts";
import { after } from "../demo/row.ts";
import { bold, line } from "../demo/terminal.ts";
import { comeBack, type Failover, failOver, type Return } from "./failover.ts";
import { type Stage, startStage } from "./stage.ts";
import type { Store } from "./store.ts";
import { startWriter, type Write } from "./writer.ts";

/** Tells the story of a store from beginning to end; the exit code. */
export async function tellFailover(store: Store): Promise<number> {
  try {
    const { values } = parseArgs({ options: { help: { type: "boolean", short: "h" } } });
    if (values.help) {
      line(`npm run failover:${store.service}   plays a failover of ${store.title}, and ends`);
      return 0;
    }
    return await runLife((life) => story(life, store));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    return 1;
  }
}

async function story(life: Life, store: Store): Promise<void> {
  line(bold(`Portolan: ${store.title} fails over, and the writers follow.`));
  line();
  const stage = await startStage(life, store);
  const writer = startWriter(stage.connect);
  life.atEnd("writer", writer.stop);
  const { by: master } = await life.until("the first write", () => writer.writes.find(isTaken));

  const failover = await failOver(life, stage, writer);
  line();
  line(bold(`${master} is killed. In milliseconds after that:`));
  line();
  showMoments(failover.killedAt, momentsOf(failover, stage));

  const back = await comeBack(life, stage, writer, failover);
  line();
  line(bold(`${failover.killed} comes back, and still believes that it is the master:`));
  line();
  showMoments(back.revivedAt, momentsOfReturn(failover, back, stage));
  const stopped = now();
  await writer.stop();
  line();
  for (const sentence of summary(writer.writes, failover, back, stopped)) line(sentence);
}

const isTaken = ({ by }: Write) => by !== undefined;

/** A moment and what happened then. */
type Moment = readonly [at: number, what: string];

function momentsOf(failover: Failover, { cluster }: Stage): readonly Moment[] {
  const { killed, master, gone, failed, masterAt, claim, applied, through } = failover;
  const how = applied.by === "runtime" ? "by its runtime API" : `by a ${applied.by}`;
  return [
    [gone.at, `the record of ${killed} is gone`],
    ...(failed ? [[failed.endedAt, `a write fails: ${failed.failure}`] as const] : []),
    [masterAt, `${master} takes writes: ${cluster.promotion}`],
    [claim.at, `the record of ${master} says master`],
    [applied.reloadedAt, `HAProxy has confirmed it, changed ${how}`],
    [through.endedAt, `${master} has taken the first write through HAProxy`],
  ];
}

function momentsOfReturn({ killed, master }: Failover, back: Return, { cluster }: Stage): readonly Moment[] {
  const { believedFrom, believedUntil, claim, rejoinedAt } = back;
  return [
    [believedFrom, `${killed} says that it is the master`],
    [claim.at, `its record says master, too; the file keeps ${master}`],
    ...(believedUntil === undefined ? [] : [[believedUntil, cluster.return] as const]),
    [rejoinedAt, `${killed} copies ${master}`],
  ];
}

function showMoments(from: number, moments: readonly Moment[]): void {
  for (const [at, what] of [...moments].sort(([a], [b]) => a - b)) {
    line(`  ${after(at - from).padStart(10)}   ${what}`);
  }
}

/** What the whole came to, in sentences. */
function summary(
  writes: readonly Write[],
  { killed, killedAt, masterAt, through }: Failover,
  back: Return,
  end: number,
): readonly string[] {
  const failed = writes.filter(({ failure }) => failure !== undefined);
  const stale = back.writes.filter(({ by }) => by === killed);
  const gap = (from: number) => `${Math.round(through.endedAt - from)} ms`;
  const seconds = ((end - back.revivedAt) / 1000).toFixed(1);
  return [
    `${writes.length} writes: ${writes.length - failed.length} were taken, ${failed.length} failed; ${writes.filter(({ bySlave }) => bySlave).length} came to a slave.`,
    `Writers were without a master for ${gap(killedAt)}, and for ${gap(masterAt)} after the new one took writes.`,
    `${stale.length} of ${back.writes.length} writes in ${seconds} s went to the ${killed} that came back.`,
  ];
}
