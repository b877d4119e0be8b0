import { after, monotonic } from "../clock.ts";
import { commandEnvironment } from "./command-environment.ts";
import { warnInPlace } from "./in-place.ts";
import type { InstallRequest } from "./install-request.ts";
import type { Part } from "./part.ts";
import {
  type Change,
  type Owed,
  ReloadError,
  type Reloaded,
  reloaderOf,
  resumeDrains,
} from "./reload/index.ts";
import { restore } from "./restore.ts";
import type { Timed } from "./stopwatch.ts";
import type { Target } from "./target.ts";
import { verify } from "./verify.ts";
import { hasAll, type Way } from "./ways.ts";

/** ms that a reload in hand may go on when the process is to end, which is to be within 5 s. */
const lastReload = 2_000;

/** When this process made a text live, on the monotonic clock in ms, by destination. */
const swaps = new Map<string, { readonly hash: string; readonly at: number }>();

/**
 * Every way of reloading that has not taken all of the parts yet, each once; one whose proxy is away holds up no
 * other. Once all have them, they are verified. When a proxy refuses or a verification fails, the last good files
 * are put back.
 */
export async function reloadAll(
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
  const putBack = (error: ReloadError) => {
    const inPlace = (target: Target) => warnInPlace(target, request.log);
    return restore(error, { parts, ways: plans.map(({ way }) => way), records: request.records, inPlace });
  };
  let result: Reloaded = { accepted: "reload" };
  let waits: Owed | undefined;
  let unreached: ReloadError | undefined;
  for (const { way, changes } of plans) {
    if (hasAll(way, parts)) continue;
    const { target } = way;
    try {
      const done = await timed("reload", () => reload(request, target, changes, swappedAt));
      if ("owed" in done) {
        if (done.begun) for (const part of parts) way.unsure(part.target.destination);
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
      throw await putBack(error);
    }
    for (const part of parts) way.took(part.target.destination, part.hash);
    if (result.accepted === "reload") request.reloaded?.();
  }
  if (unreached) throw unreached;
  if (waits) return waits;
  if (request.knownGood || parts.every(({ target }) => target.verify === undefined)) return result;
  try {
    await timed("verify", () => alsoLate(request.turn.signal, (signal) => verify(parts, request, signal)));
  } catch (error) {
    if (!(error instanceof ReloadError)) throw error;
    for (const { way } of plans) for (const { target } of parts) way.unsure(target.destination);
    throw await putBack(error);
  }
  return result;
}

/** Remembers when this process has made these parts live. */
export function noteSwap(parts: readonly Part[]): void {
  const at = monotonic();
  for (const { target, hash } of parts) swaps.set(target.destination, { hash, at });
}

/** Nothing is remembered of a file that has gone for good. */
export function forgetSwap(destination: string): void {
  swaps.delete(destination);
  resumed.delete(destination);
}

const resumed = new Set<string>();

/** Once per process and file: HAProxy may still be at what an earlier process has begun. It is not waited for. */
export function resumeOnce(parts: readonly Part[], ways: readonly Way[]): void {
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

function reload(
  request: InstallRequest,
  target: Target,
  changes: readonly Change[],
  swappedAt: number | undefined,
): Promise<Reloaded> {
  const { source, commandTimeout: timeout } = target;
  const destination = target.partOf ?? target.destination;
  const env = commandEnvironment(request, { source, destination });
  const { interval = async () => {}, clearance = async () => undefined } = request;
  const context = { destination, changes, swappedAt, timeout, env, interval, clearance };
  return alsoLate(request.turn.signal, (signal) => reloaderOf(target.reload)(context, signal));
}

/** When the turn is aborted, what tells the proxy has a little time left, so that the swap before it counts. */
async function alsoLate<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  let cancel = () => {};
  const aborted = () => {
    cancel = after(lastReload, () => late.abort());
  };
  signal.addEventListener("abort", aborted, { once: true });
  if (signal.aborted) aborted();
  try {
    return await work(late.signal);
  } finally {
    signal.removeEventListener("abort", aborted);
    cancel();
  }
}
