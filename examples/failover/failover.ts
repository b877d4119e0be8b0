// One failover, with the moment of everything: milliseconds since the epoch, as in the demo's journal.
import { setTimeout as sleep } from "node:timers/promises";
import { type Applied, now, type RecordChange } from "../demo/journal.ts";
import type { Life } from "../demo/life.ts";
import { appliedAfter } from "../demo/timeline.ts";
import { askOften, type Question } from "./question.ts";
import type { Stage } from "./stage.ts";
import { RefusedBySlave, type Session } from "./store.ts";
import type { Write, Writer } from "./writer.ts";

/** ms that a step may take. */
const patience = 60_000;

/** The death of a master, and what followed. */
export interface Failover {
  readonly killed: string;
  readonly killedAt: number;
  /** Its record went. */
  readonly gone: RecordChange;
  /** The first write that failed, if one did. */
  readonly failed: Write | undefined;
  /** The new master, and when it took the first write of somebody who asked it without HAProxy. */
  readonly master: string;
  readonly masterAt: number;
  /** Its record said so, and HAProxy confirmed that it had it. */
  readonly claim: RecordChange;
  readonly applied: Applied;
  /** The first write that it took through HAProxy. */
  readonly through: Write;
}

/** Kills the master, and waits until writes reach another one. */
export async function failOver(life: Life, stage: Stage, writer: Writer): Promise<Failover> {
  const { cluster } = stage;
  const killed = writer.writes.findLast(({ by }) => by !== undefined)?.by ?? "";
  const survivors = cluster.servers.filter((name) => name !== killed);
  const questions = survivors.map((name): [string, Question] => [
    name,
    askOften(() => stage.direct(name), takesWrites),
  ]);
  try {
    const killedAt = now();
    await cluster.kill(killed);
    await cluster.promote(survivors);
    const found = await life.until(
      "another master",
      () => questions.find(([, question]) => question.since() !== undefined),
      patience,
    );
    const [master, question] = found;
    const claim = await change(life, stage, `the claim of ${master}`, killedAt, isClaimOf(master));
    // Until somebody claims it, the file is held. HAProxy may have the claim before it is heard of here.
    const applied = await life.until("a new file", () => appliedAfter(stage, killedAt), patience);
    const through = await life.until(
      `a write at ${master} through HAProxy`,
      () => writer.writes.find(({ by, sentAt }) => by === master && sentAt > killedAt),
      patience,
    );
    const isGone = ({ name, state }: RecordChange) => name === killed && state === "removed";
    const gone = await change(life, stage, `the record of ${killed} to go`, killedAt, isGone);
    const failed = writer.writes.find(({ failure, endedAt }) => failure !== undefined && endedAt > killedAt);
    const masterAt = question.since() ?? 0;
    return { killed, killedAt, gone, failed, master, masterAt, claim, applied, through };
  } finally {
    await Promise.all(questions.map(([, question]) => question.stop()));
  }
}

/** The return of a dead master that still believes in itself. */
export interface Return {
  readonly revivedAt: number;
  /** It said that it is the master; undefined for the end: to its last moment. */
  readonly believedFrom: number;
  readonly believedUntil: number | undefined;
  /** Its record claimed so, too. */
  readonly claim: RecordChange;
  /** All others were attached to the master again. */
  readonly rejoinedAt: number;
  /** The writes of all this time. */
  readonly writes: readonly Write[];
}

/** Starts a dead master, and waits until two claim to be the master, and then until it is a slave and known as one. */
export async function comeBack(
  life: Life,
  stage: Stage,
  writer: Writer,
  { killed, master }: Pick<Failover, "killed" | "master">,
): Promise<Return> {
  const revivedAt = now();
  await stage.cluster.revive(killed);
  const belief = askOften(
    () => stage.direct(killed),
    (session) => session.isMaster(),
  );
  try {
    const claim = await change(life, stage, `the claim of ${killed}`, revivedAt, isClaimOf(killed));
    // Long enough for a file that would lead writers to it.
    await sleep(1_000, undefined, { signal: life.signal });
    await stage.cluster.rejoin(killed, master);
    const rejoinedAt = now();
    // What still claims would be believed if the new master died now.
    await change(life, stage, `${killed} to be known as a slave`, claim.at, isSlave(killed));
    const writes = writer.writes.filter(({ endedAt }) => endedAt > revivedAt);
    const [believedFrom = revivedAt, believedUntil] = [belief.since(), belief.until()];
    return { revivedAt, believedFrom, believedUntil, claim, rejoinedAt, writes };
  } finally {
    await belief.stop();
  }
}

/** The first change of a record after a moment that is what is looked for. */
function change(
  life: Life,
  { records }: Stage,
  what: string,
  after: number,
  is: (change: RecordChange) => boolean,
): Promise<RecordChange> {
  return life.until(what, () => records.find((one) => one.at >= after && is(one)), patience);
}

const isSlave =
  (server: string) =>
  ({ name, state, role }: RecordChange) =>
    name === server && state === "ready" && role === "slave";

const isClaimOf =
  (server: string) =>
  ({ name, state, role }: RecordChange) =>
    name === server && state !== "removed" && role === "master";

async function takesWrites(session: Session): Promise<boolean> {
  try {
    await session.write();
    return true;
  } catch (error) {
    if (error instanceof RefusedBySlave) return false;
    throw error;
  }
}
