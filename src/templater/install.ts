import { chmod, chown } from "node:fs/promises";
import { dirname } from "node:path";
import { after, monotonic } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Turn } from "../loop.ts";
import { check } from "./check.ts";
import { commit, type Pending } from "./commit.ts";
import { destinationError, type Live, readLive } from "./destination.ts";
import { sha256 } from "./hash.ts";
import { ownerOf } from "./owner.ts";
import type { Records } from "./records.ts";
import { type Change, operationsFor, ReloadError, type Reloaded, reloaderOf } from "./reload/index.ts";
import type { Environment } from "./run.ts";
import { stage, sweep } from "./stage.ts";
import type { Target } from "./target.ts";

/** A rendered text, and where it belongs. */
export interface File {
  readonly text: string;
  readonly target: Target;
}

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

/** A file, and how it stands. */
interface Part {
  readonly target: Target;
  readonly bytes: Buffer;
  readonly hash: string;
  readonly live: Live;
  readonly isLive: boolean;
}

/**
 * Makes rendered texts the live files and gets them accepted: stage, check, swap, reload, accept.
 *
 * It remembers nothing between two calls but what is on the disk: new bytes are owed a check and a swap, and a
 * live file is owed a reload exactly while it is not what was last accepted. So a call after a crash or a
 * failure at any step goes on where that was. Calls for one destination are to be made one after the other.
 *
 * Rejects with DESTINATION or CHECK_FAILED, the live files being as they were; with RELOAD_FAILED: the reload
 * is still owed when the proxy was not reached, else the last good files are back (see `ReloadError.left`);
 * with ABORTED when the turn was aborted; and with FAILED when the state folder cannot be used.
 */
export async function install(request: InstallRequest): Promise<Installed> {
  const { turn, records } = request;
  const { accepted, intents } = records;
  const { took, timed } = createStopwatch();

  const parts = await Promise.all(request.files.map(look));
  const fresh = parts.filter(({ isLive }) => !isLive);
  for (const part of parts) if (part.isLive) await keepAccess(part);

  const owed = parts.filter(({ target, hash }) => accepted.get(target.destination) !== hash);
  if (fresh.length === 0 && owed.length === 0) return { verdict: "unchanged", took };
  if (fresh.length === 0 && !(await turn.settled())) return { verdict: "superseded", took };
  const changes = parts
    .filter((part) => fresh.includes(part) || owed.includes(part))
    .map((part) => changeOf(part, records));

  if (fresh.length > 0) {
    const pending: Pending[] = [];
    try {
      await timed("stage", async () => {
        for (const part of fresh)
          pending.push({ ...part, staged: await stage(part.bytes, part.target, part.live) });
      });
      const checked = pending.filter(({ target }) => target.check);
      const checkAll = async () => {
        for (const { target, staged } of checked)
          await check(target, staged.path, commandEnv(request, target), turn.signal);
      };
      if (checked.length > 0) await timed("check", checkAll);
      if (!(await turn.settled())) return { verdict: "superseded", took };
      for (const part of fresh) await prepare(part, records);
      await timed("swap", () => commit(pending, intents, (target) => warnInPlace(target, request.log)));
      const at = monotonic();
      for (const { target, hash } of fresh) swaps.set(target.destination, { hash, at });
    } finally {
      for (const { staged } of pending) await staged.remove();
    }
  }

  const result = await reloadAll(request, parts, changes, timed);
  if ("owed" in result) return { verdict: "owed", owed: result, took };
  for (const { target, bytes, hash } of parts) {
    if (accepted.get(target.destination) === hash) continue;
    await records.backups.keep(target.destination, bytes, target.backups ?? defaultBackups);
    await accepted.set(target.destination, hash);
  }
  const verdict = fresh.length > 0 ? "applied" : reloadsOf(parts).length > 0 ? "reloaded" : "unchanged";
  if (reloadsOf(parts).length === 0) return { verdict, took };
  const { accepted: by, note } = result;
  return { verdict, by, ...(note !== undefined && { note }), took };
}

/**
 * Gives the live files, whatever they hold, the reload that they are owed: those that were put back after a
 * reload that left open what the proxy runs with. Rejects like `install`.
 */
export async function reloadOwed(request: InstallRequest): Promise<Installed> {
  const files = await Promise.all(
    request.files.map(async ({ target }): Promise<File> => {
      const { file } = await readLive(target.destination);
      return { text: file?.bytes.toString() ?? "", target };
    }),
  );
  return install({ ...request, files });
}

/** Whether an install of these texts would take a reload now, as far as can be told without asking the proxy. */
export async function needsReload(files: readonly File[], records: Records): Promise<boolean> {
  const parts = await Promise.all(files.map(look));
  const changes = parts
    .filter(({ target, hash, isLive }) => !isLive || records.accepted.get(target.destination) !== hash)
    .map((part) => changeOf(part, records));
  if (changes.length === 0) return false;
  const ways = reloadsOf(parts);
  if (ways.some(({ reload }) => reload.kind !== "haproxy")) return true;
  return ways.length > 0 && typeof operationsFor(changes) === "string";
}

async function look({ text, target }: File): Promise<Part> {
  const bytes = Buffer.from(text);
  const live = await readLive(target.destination);
  await sweep(dirname(live.path));
  return { target, bytes, hash: sha256(bytes), live, isLive: live.file?.bytes.equals(bytes) ?? false };
}

/** What the proxy sees of a part that changes. What it runs with is known when that is live and accepted. */
function changeOf({ target, bytes, live }: Part, { accepted }: Records): Change {
  const known = live.file && accepted.get(target.destination) === sha256(live.file.bytes);
  return { before: known ? live.file?.bytes.toString() : undefined, after: bytes.toString() };
}

/** The last steps before a swap. */
async function prepare({ target, hash, live }: Part, { accepted, backups }: Records): Promise<void> {
  const { destination } = target;
  const known = accepted.get(destination);
  // A step back to what was accepted before something else was swapped in: its reload is owed again.
  if (known === hash) await accepted.forget(destination);
  // What was there before Portolan is what the proxy runs with, as far as anybody knows.
  if (live.file && known === undefined && (await backups.last(destination)) === undefined)
    await backups.keep(destination, live.file.bytes, target.backups ?? defaultBackups);
}

type Reloads = readonly Target[];

/** One target for each way of reloading that the parts have. */
function reloadsOf(parts: readonly Part[]): Reloads {
  const byKind = new Map<string, Target>();
  for (const { target } of parts) {
    const key = JSON.stringify(target.reload);
    if (target.reload.kind !== "none" && !byKind.has(key)) byKind.set(key, target);
  }
  return [...byKind.values()];
}

/** Every way of reloading that the parts have, once; when one fails, the last good files are put back. */
async function reloadAll(
  request: InstallRequest,
  parts: readonly Part[],
  changes: readonly Change[],
  timed: <T>(step: Step, work: () => Promise<T>) => Promise<T>,
): Promise<Reloaded> {
  const times = parts.map(({ target, hash }) => {
    const swapped = swaps.get(target.destination);
    return swapped?.hash === hash ? swapped.at : undefined;
  });
  const swappedAt = times.reduce((a, b) => (a === undefined || b === undefined ? undefined : Math.max(a, b)));
  let result: Reloaded = { accepted: "reload" };
  for (const target of reloadsOf(parts)) {
    try {
      result = await timed("reload", () => reload(request, target, changes, swappedAt));
    } catch (error) {
      request.reloaded?.();
      throw error instanceof ReloadError ? await restore(error, parts, request) : error;
    }
    if ("owed" in result) return result;
    if (result.accepted === "reload") request.reloaded?.();
  }
  return result;
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

/**
 * Puts the last good files back after a reload that failed, so that a proxy that is started anew gets what
 * works; gives the error to throw. Where nobody was there to be told, the new file stays: it has passed its
 * check, and the proxy finds it when it starts.
 */
async function restore(
  error: ReloadError,
  parts: readonly Part[],
  { records, log }: InstallRequest,
): Promise<ReloadError> {
  if (error.left === "none") return error;
  const { accepted, backups, intents } = records;
  const pending: Pending[] = [];
  try {
    for (const { target, bytes: refused } of parts) {
      const bytes = await backups.last(target.destination);
      const live = await readLive(target.destination);
      if (bytes === undefined || bytes.equals(refused)) continue;
      const staged = await stage(bytes, target, live);
      pending.push({ target, bytes, hash: sha256(bytes), live, staged });
    }
    // Not known any more what the proxy runs with: a reload is owed, also after a crash from here on.
    if (error.left === "open") for (const { target } of parts) await accepted.forget(target.destination);
    await commit(pending, intents, (target) => warnInPlace(target, log));
    if (error.left === "before")
      for (const { target, hash } of pending) await accepted.set(target.destination, hash);
  } catch (failure) {
    const why = failure instanceof Error ? failure.message : String(failure);
    return new ReloadError(error.left, `${error.message}\nthe last good file was not put back: ${why}`, {
      cause: error,
    });
  } finally {
    for (const { staged } of pending) await staged.remove();
  }
  if (pending.length === 0) return error;
  const names = pending.map(({ target }) => target.destination).join(", ");
  return new ReloadError(error.left, `${error.message}\nthe last good file is back: ${names}`, {
    cause: error,
    restored: true,
  });
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
