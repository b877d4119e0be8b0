import { chmod, chown } from "node:fs/promises";
import { after, monotonic } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Turn } from "../loop.ts";
import { check } from "./check.ts";
import { commit, type Pending } from "./commit.ts";
import { type Companions, placeCompanions } from "./companions.ts";
import { destinationError, readLive } from "./destination.ts";
import { ownerOf } from "./owner.ts";
import { type File, look, type Part } from "./part.ts";
import type { Records } from "./records.ts";
import {
  type Change,
  operationsFor,
  ReloadError,
  type Reloaded,
  reloaderOf,
  resumeDrains,
} from "./reload/index.ts";
import { restore } from "./restore.ts";
import type { Environment } from "./run.ts";
import { stage } from "./stage.ts";
import type { Target } from "./target.ts";
import type { Swapped } from "./verdicts.ts";
import { agree, changesFor, hasAll, type Way, waysOf } from "./ways.ts";

export type { File } from "./part.ts";

/** Rendered texts, and what it takes to make them count. */
export interface InstallRequest {
  /** One file, or all of a group. */
  readonly files: readonly File[];
  readonly turn: Turn;
  readonly records: Records;
  /** The templater's counter, for PORTOLAN_REVISION. */
  readonly revision: number;
  /** Names of the services that changed since the last install, for PORTOLAN_CHANGED. */
  readonly changed: readonly string[];
  /** What check and reload get besides PORTOLAN_*: the process's own variables. */
  readonly env: Environment;
  /** Gets one warning per process and destination that is written in place. */
  readonly log: Pick<Log, "warn">;
  /** Waits until `minInterval` lets another reload happen, for what turned out late to need one. */
  readonly interval?: () => Promise<void>;
  /** Called once new bytes are live: with what was there before, and what is there now. */
  readonly swapped?: (files: readonly Swapped[]) => void;
  /** Called after each reload, also after one that failed; not for what was done without one. */
  readonly reloaded?: () => void;
}

/** A step of an install that takes time. */
export type Step = "stage" | "check" | "swap" | "reload";

/** What an install did. */
export interface Installed {
  /**
   * applied: new bytes are live and accepted. reloaded: the bytes were live already, and are accepted now.
   * unchanged: nothing was to be done. superseded: nothing was done, because something newer has come. owed:
   * the bytes are live, and the proxy has still to take them; `owed` says why, and the install is to be called
   * again.
   */
  readonly verdict: "applied" | "reloaded" | "unchanged" | "superseded" | "owed";
  readonly owed?: Extract<Reloaded, { owed: unknown }>;
  /** How the proxy took it: reload, runtime or start. */
  readonly by?: Extract<Reloaded, { accepted: unknown }>["accepted"];
  /** Why it was a reload. */
  readonly note?: string;
  /** ms that each step took; a step that was not needed is absent. */
  readonly took: Readonly<Partial<Record<Step, number>>>;
}

/** ms that a reload in hand may go on when the process is to end, which is to be within 5 s. */
const lastReload = 2_000;

/** How many accepted files are kept besides the last one, unless the target says otherwise. */
const defaultBackups = 5;

/** When this process made a text live, on the monotonic clock in ms, by destination. */
const swaps = new Map<string, { readonly hash: string; readonly at: number }>();

/**
 * Makes rendered texts the live files and gets them accepted: stage, check, swap, reload, accept.
 *
 * It needs nothing between two calls but what is on the disk: new bytes are owed a check and a swap, and a live
 * file is owed a reload exactly while it is not what was last accepted. So a call after a crash or a failure at
 * any step goes on where that was. Where a group has several proxies, this process also knows which of them has
 * taken what (`ways.ts`). Calls for one destination are to be made one after the other.
 *
 * Rejects with DESTINATION or CHECK_FAILED, the live files being as they were; with RELOAD_FAILED: the reload
 * is still owed when the proxy was not reached, else the last good files are back (see `ReloadError.left`);
 * with ABORTED when the turn was aborted; and with FAILED when the state folder cannot be used for what comes
 * before a swap.
 */
export async function install(request: InstallRequest): Promise<Installed> {
  const { turn, records } = request;
  const { accepted } = records;
  const { took, timed } = createStopwatch();

  const parts = await Promise.all(request.files.map(look));
  const fresh = parts.filter(({ isLive }) => !isLive);
  for (const part of parts) if (part.isLive) await keepAccess(part);

  const ways = waysOf(
    parts.map(({ target }) => target),
    accepted,
  );
  const isOwed =
    parts.some(({ target, hash }) => accepted.get(target.destination) !== hash) ||
    !ways.every((way) => hasAll(way, parts));
  if (fresh.length === 0 && !isOwed) {
    resumeOnce(parts, ways);
    return { verdict: "unchanged", took };
  }
  if (fresh.length === 0 && !(await turn.settled())) return { verdict: "superseded", took };
  const plans = ways.map((way) => ({ way, changes: changesFor(way, parts) }));
  if (fresh.length > 0 && !(await replace(request, fresh, ways, timed)))
    return { verdict: "superseded", took };

  const result = await reloadAll(request, parts, plans, timed);
  if ("owed" in result) return { verdict: "owed", owed: result, took };
  await accept(parts, request);
  resumeOnce(parts, ways);
  const verdict = fresh.length > 0 ? "applied" : ways.length > 0 ? "reloaded" : "unchanged";
  if (ways.length === 0) return { verdict, took };
  const { accepted: by, note } = result;
  return { verdict, by, ...(note !== undefined && { note }), took };
}

/**
 * Gives the live files, whatever they hold, the reload that they are owed: those that were put back after a
 * reload that left open what the proxy runs with. A file that is not there is left out. Rejects like `install`.
 */
export async function reloadOwed(request: InstallRequest): Promise<Installed> {
  const files = await Promise.all(
    request.files.map(async ({ target }): Promise<readonly File[]> => {
      const { file } = await readLive(target.destination);
      return file ? [{ text: file.bytes, target }] : [];
    }),
  );
  return install({ ...request, files: files.flat() });
}

/** Whether an install of these texts would take a reload now, as far as can be told without asking the proxy. */
export async function needsReload(files: readonly File[], { accepted }: Records): Promise<boolean> {
  const parts = await Promise.all(files.map(look));
  const ways = waysOf(
    parts.map(({ target }) => target),
    accepted,
  );
  return ways.some((way) => {
    if (hasAll(way, parts) && parts.every(({ isLive }) => isLive)) return false;
    return way.target.reload.kind !== "haproxy" || typeof operationsFor(changesFor(way, parts)) === "string";
  });
}

type Timed = <T>(step: Step, work: () => Promise<T>) => Promise<T>;

/** Stages, checks and swaps. False when something newer has come, and nothing was done. */
async function replace(
  request: InstallRequest,
  fresh: readonly Part[],
  ways: readonly Way[],
  timed: Timed,
): Promise<boolean> {
  const { turn, records, log } = request;
  const pending: Pending[] = [];
  let companions: Companions | undefined;
  try {
    await timed("stage", async () => {
      for (const part of fresh)
        pending.push({ ...part, staged: await stage(part.bytes, part.target, part.live) });
    });
    if (fresh.some(({ target }) => target.check)) {
      companions = await placeCompanions(pending, records.intents);
      await timed("check", async () => {
        for (const { target, staged } of pending)
          if (staged) await check(target, staged.path, commandEnv(request, target), turn.signal);
      });
    }
    if (!(await turn.settled())) return false;
    for (const part of fresh) await prepare(part, records, ways);
    const told = { inPlace: (target: Target) => warnInPlace(target, log), begun: companions?.keep };
    await timed("swap", () => commit(pending, records.intents, told));
    const at = monotonic();
    for (const { target, hash } of fresh) swaps.set(target.destination, { hash, at });
    request.swapped?.(
      fresh.map(({ target: { destination }, bytes, live: { file } }) => ({
        destination,
        before: file?.bytes,
        after: bytes,
      })),
    );
    return true;
  } finally {
    await companions?.takeAway();
    for (const { staged } of pending) await staged?.remove();
  }
}

/** The last steps before a swap. */
async function prepare({ target, hash, live }: Part, records: Records, ways: readonly Way[]): Promise<void> {
  const { accepted, backups } = records;
  const { destination } = target;
  const known = accepted.get(destination);
  // A step back to what was accepted before something else was swapped in: its reload is owed again.
  for (const way of ways) if (way.runsWith(destination) === hash) way.unsure(destination);
  if (known === hash) await accepted.forget(destination);
  // What was there before Portolan is what the proxy runs with, as far as anybody knows.
  if (live.file && known === undefined && (await backups.last(destination)) === undefined)
    await backups.keep(destination, live.file.bytes, target.backups ?? defaultBackups);
}

/**
 * Notes what all proxies have taken. A state folder that is full changes nothing about that: this process knows
 * it all the same, and the next one reloads once more.
 */
async function accept(parts: readonly Part[], { records, log }: InstallRequest): Promise<void> {
  for (const { target, bytes, hash } of parts) {
    const { destination } = target;
    agree(destination);
    if (records.accepted.get(destination) === hash) continue;
    const problems: unknown[] = [];
    const note = (error: unknown) => void problems.push(error);
    await records.backups.keep(destination, bytes, target.backups ?? defaultBackups).catch(note);
    await records.accepted.set(destination, hash).catch(note);
    if (problems.length > 0) log.warn({ destination, err: problems[0] }, "applied, but not recorded");
  }
}

/**
 * Every way of reloading that has not taken all of the parts yet, each once; one whose proxy is away holds up no
 * other. When a proxy refuses, the last good files are put back.
 */
async function reloadAll(
  request: InstallRequest,
  parts: readonly Part[],
  plans: readonly { readonly way: Way; readonly changes: readonly Change[] }[],
  timed: Timed,
): Promise<Reloaded> {
  const times = parts.map(({ target, hash }) => {
    const swapped = swaps.get(target.destination);
    return swapped?.hash === hash ? swapped.at : undefined;
  });
  const swappedAt = times.reduce((a, b) => (a === undefined || b === undefined ? undefined : Math.max(a, b)));
  let result: Reloaded = { accepted: "reload" };
  let waits: Extract<Reloaded, { owed: unknown }> | undefined;
  let unreached: ReloadError | undefined;
  for (const { way, changes } of plans) {
    if (hasAll(way, parts)) continue;
    const { target } = way;
    try {
      const done = await timed("reload", () => reload(request, target, changes, swappedAt));
      if ("owed" in done) {
        waits ??= done;
        continue;
      }
      result = done;
    } catch (error) {
      request.reloaded?.();
      if (!(error instanceof ReloadError)) throw error;
      if (error.left === "none") {
        unreached ??= error;
        continue;
      }
      if (error.left === "open") for (const part of parts) way.unsure(part.target.destination);
      const inPlace = (written: Target) => warnInPlace(written, request.log);
      const ways = plans.map((plan) => plan.way);
      throw await restore(error, { parts, ways, records: request.records, inPlace });
    }
    for (const part of parts) way.took(part.target.destination, part.hash);
    if (result.accepted === "reload") request.reloaded?.();
  }
  if (unreached) throw unreached;
  return waits ?? result;
}

const resumed = new Set<string>();

/** Once per process and file: HAProxy may still be at what an earlier process has begun. It is not waited for. */
function resumeOnce(parts: readonly Part[], ways: readonly Way[]): void {
  const names = parts.map(({ target }) => target.destination);
  if (names.every((name) => resumed.has(name))) return;
  for (const name of names) resumed.add(name);
  for (const { target } of ways) {
    if (target.reload.kind !== "haproxy") continue;
    const texts = parts.map(({ bytes }) => bytes.toString("latin1"));
    // One that does not answer now drains nothing: it is started anew, or reloaded.
    void resumeDrains(target.reload, texts).catch(() => {});
  }
}

/** Reloads. When the turn is aborted, the reload has a little time left, so that the swap before it counts. */
async function reload(
  request: InstallRequest,
  target: Target,
  changes: readonly Change[],
  swappedAt: number | undefined,
): Promise<Reloaded> {
  const { signal } = request.turn;
  const late = new AbortController();
  let cancel = () => {};
  const aborted = () => {
    cancel = after(lastReload, () => late.abort());
  };
  signal.addEventListener("abort", aborted, { once: true });
  if (signal.aborted) aborted();
  try {
    const { destination, commandTimeout: timeout } = target;
    const env = commandEnv(request, target);
    const interval = request.interval ?? (async () => {});
    const context = { destination, changes, swappedAt, timeout, env, interval };
    return await reloaderOf(target.reload)(context, late.signal);
  } finally {
    signal.removeEventListener("abort", aborted);
    cancel();
  }
}

/** A mode and an owner that were configured later hold for the live file too. */
async function keepAccess({ target, live: { path, file } }: Part): Promise<void> {
  if (file === undefined) return;
  try {
    const owner = await ownerOf(target, file.owner);
    const moved = owner && (owner.uid !== file.owner.uid || owner.gid !== file.owner.gid);
    if (moved) await chown(path, owner.uid, owner.gid);
    const { mode = file.mode } = target;
    // A change of owner takes the bits for set-id away.
    if (mode !== file.mode || moved) await chmod(path, mode);
  } catch (error) {
    throw destinationError(target.destination, error, path);
  }
}

const warned = new Set<string>();

function warnInPlace({ destination }: Target, log: InstallRequest["log"]): void {
  if (warned.has(destination)) return;
  warned.add(destination);
  log.warn(
    { destination },
    "is a mount of its own and is written in place, so a reader may see half; mount its folder",
  );
}

function commandEnv({ env, revision, changed }: InstallRequest, target: Target): Environment {
  return {
    ...env,
    PORTOLAN_CHANGED: nameList(changed),
    PORTOLAN_REVISION: String(revision),
    PORTOLAN_SOURCE: target.source,
    PORTOLAN_DESTINATION: target.destination,
  };
}

/** The kernel takes no variable beyond 128 KiB: a longer list is cut after a whole name and ends with `...`. */
function nameList(names: readonly string[]): string {
  const list = names.join(",");
  const most = 100_000;
  if (Buffer.byteLength(list) <= most) return list;
  const cut = Buffer.from(list).subarray(0, most);
  return `${cut.subarray(0, cut.lastIndexOf(",") + 1).toString()}...`;
}

function createStopwatch() {
  const took: Partial<Record<Step, number>> = {};
  const timed = async <T>(step: Step, work: () => Promise<T>): Promise<T> => {
    const start = monotonic();
    try {
      return await work();
    } finally {
      took[step] = (took[step] ?? 0) + monotonic() - start;
    }
  };
  return { took, timed };
}
