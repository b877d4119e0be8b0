import { deadline } from "../../../clock.ts";
import { PortolanError } from "../../../errors.ts";
import type { HaproxyReload } from "../../target.ts";
import { inLane, spaced } from "../lane.ts";
import { type Change, ReloadError, type Reloaded, type Reloader } from "../reloader.ts";
import { draining, type Info, maintained, parseStates } from "./answers.ts";
import { type Operation, stepsBetween } from "./changes.ts";
import { openSession } from "./cli.ts";
import { closeSessions } from "./close.ts";
import { isRunning, startedAt } from "./life.ts";
import { reloadWorkers, workerOf } from "./restart.ts";
import { leavingServer, retire } from "./retire.ts";
import { applyOperations, obstacleFor, Unexpected } from "./runtime.ts";
import { parseConfiguration } from "./servers.ts";

/**
 * The runtime API when only servers have changed, else a reload. One that does not run is no failure: once it
 * answers and was started after the swap, it has read the new file.
 */
export function haproxyReload(reload: HaproxyReload): Reloader {
  return (context, signal) => inLane(reload.socket, () => apply(reload, context, signal));
}

const apply = async (
  reload: HaproxyReload,
  context: Parameters<Reloader>[0],
  signal: AbortSignal,
): Promise<Reloaded> => {
  const { destination, changes, swappedAt, timeout } = context;
  const limit = deadline(timeout, signal);
  const worker = await guarded(context.destination, signal, async () => {
    const found = await workerOf(reload.socket, limit);
    if (found !== undefined || (await isRunning(reload, limit))) return found ?? "silent";
    return undefined;
  });
  if (worker === undefined)
    return { owed: "away", reason: `HAProxy does not run: ${reload.socket} is silent` };
  const serving = worker === "silent" ? undefined : worker;
  if (serving && swappedAt !== undefined && (await startedAt(serving)) > swappedAt)
    return { accepted: "start" };

  const obstacle: Obstacle | number = serving
    ? await tryRuntime(reload, serving, changes, limit)
    : { reason: `nobody answers at ${reload.socket}`, begun: false };
  if (typeof obstacle === "number") return { accepted: "runtime", operations: obstacle };
  await context.interval();
  const held = await context.clearance();
  if (held) return { ...held, begun: obstacle.begun };
  const restart = { reload, destination, timeout, worker: serving };
  await spaced(reload.socket, signal, () => reloadWorkers(restart, signal)).catch((error: unknown) => {
    const kept = error instanceof ReloadError && error.left === "before";
    // It goes on with what it had, and with a part of the new servers.
    throw kept && obstacle.begun ? new ReloadError("open", error.message, { cause: error }) : error;
  });
  return { accepted: "reload", note: obstacle.reason };
};

/** Why it takes a reload; and whether HAProxy may have been changed before that turned out. */
interface Obstacle {
  readonly reason: string;
  readonly begun: boolean;
}

/** How many operations it took until HAProxy has what the changes say; or why it takes a reload. */
async function tryRuntime(
  { socket }: HaproxyReload,
  worker: Info,
  changes: readonly Change[],
  limit: AbortSignal,
): Promise<Obstacle | number> {
  const takesReload = async (reason: string): Promise<Obstacle> => ({
    reason,
    begun: await closeSessions(socket, changes, limit),
  });
  const operations = operationsFor(changes);
  if (typeof operations === "string") return takesReload(operations);
  const obstacle = obstacleFor(worker.version, operations);
  if (obstacle !== undefined) return takesReload(obstacle);
  const half = (reason: string): Obstacle => ({ reason, begun: true });
  try {
    const session = await openSession(socket, limit);
    try {
      await applyOperations(session, operations, (key) => leavingServer(socket, worker.pid, key));
    } finally {
      session.close();
    }
    // What was changed has to be what serves, and not a worker that was replaced meanwhile.
    const now = await workerOf(socket, limit);
    if (now?.pid !== worker.pid) return half("HAProxy was reloaded or restarted by somebody else meanwhile");
  } catch (error) {
    await closeSessions(socket, changes, limit);
    if (error instanceof Unexpected) return half(error.message);
    return half(`${socket}: ${error instanceof Error ? error.message : error}`);
  }
  const of = (kind: Operation["kind"]) =>
    operations.filter((operation) => operation.kind === kind).map(({ server }) => server);
  retire(socket, worker.pid, of("remove"), of("add"));
  return operations.length;
}

/**
 * Takes up what an earlier process has begun: servers that drain in HAProxy, and that none of the files it has
 * accepted holds any more. Rejects with Node's own errors when HAProxy does not answer.
 */
export function resumeDrains({ socket }: HaproxyReload, texts: readonly string[]): Promise<void> {
  return inLane(socket, async () => {
    const files = texts.map(parseConfiguration).filter((file) => typeof file !== "string");
    const limit = deadline(5_000);
    const worker = await workerOf(socket, limit);
    if (worker === undefined) return;
    const session = await openSession(socket, limit);
    try {
      const states = parseStates(await session.ask("show servers state"));
      const left = [...(states ?? [])].flatMap(([key, { admin }]) => {
        const [pool = "", name = ""] = key.split("/");
        const isOurs = files.some(({ pools }) => pools.has(pool));
        const isKept = files.some(({ servers }) => servers.has(key));
        return isOurs && !isKept && (admin & (maintained | draining)) !== 0 ? [{ pool, name }] : [];
      });
      if (left.length > 0) retire(socket, worker.pid, left, []);
    } finally {
      session.close();
    }
  });
}

/** What a running HAProxy can do to take all changes in; or why it cannot. */
export function operationsFor(changes: readonly Change[]): readonly Operation[] | string {
  const operations: Operation[] = [];
  for (const { before, after } of changes) {
    if (before === undefined) return "what HAProxy runs with is not known";
    const steps = stepsBetween(before, after);
    if ("reload" in steps) return steps.reload;
    operations.push(...steps.operations);
  }
  return changes.length === 0 ? "what HAProxy runs with is not known" : operations;
}

async function guarded<T>(destination: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PortolanError) throw error;
    if (signal.aborted) throw new PortolanError("ABORTED", `the reload of ${destination} was cancelled`);
    const reason = error instanceof Error ? error.message : String(error);
    throw new ReloadError("none", `the reload of ${destination} failed: HAProxy: ${reason}`, {
      cause: error,
    });
  }
}
