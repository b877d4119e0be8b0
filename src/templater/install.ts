import { chmod } from "node:fs/promises";
import { dirname } from "node:path";
import { after, monotonic } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Turn } from "../loop.ts";
import type { Accepted } from "./accepted.ts";
import { check } from "./check.ts";
import { destinationError, type Live, readLive } from "./destination.ts";
import { sha256 } from "./hash.ts";
import { reloaderOf } from "./reload/index.ts";
import type { Environment } from "./run.ts";
import { stage, sweep } from "./stage.ts";
import { swap } from "./swap.ts";
import type { Target } from "./target.ts";

/** A rendered text, and what it takes to make it count. */
export interface InstallRequest {
  readonly text: string;
  readonly target: Target;
  readonly turn: Turn;
  readonly accepted: Accepted;
  /** The templater's counter, for PORTOLAN_REVISION. */
  readonly revision: number;
  /** Names of the services that changed since the last install, for PORTOLAN_CHANGED. */
  readonly changed: readonly string[];
  /** What check and reload get besides PORTOLAN_*: the process's own variables. */
  readonly env: Environment;
  /** Gets one warning per process and destination that is written in place. */
  readonly log: Pick<Log, "warn">;
  /** Called after each reload, also after one that failed. */
  readonly reloaded?: () => void;
}

/** A step of an install that takes time. */
export type Step = "stage" | "check" | "swap" | "reload";

/** What an install did. */
export interface Installed {
  /**
   * applied: new bytes are live and accepted. reloaded: the bytes were live already, and are accepted now.
   * unchanged: nothing was to be done. superseded: nothing was done, because something newer has come.
   */
  readonly verdict: "applied" | "reloaded" | "unchanged" | "superseded";
  /** ms that each step took; a step that was not needed is absent. */
  readonly took: Readonly<Partial<Record<Step, number>>>;
}

/** ms that a reload in hand may go on when the process is to end, which is to be within 5 s. */
const lastReload = 2_000;

/**
 * Makes a rendered text the live file and gets it accepted: stage, check, swap, reload, accept.
 *
 * It remembers nothing between two calls but what is on the disk: new bytes are owed a check and a swap, and a
 * live file is owed a reload exactly while it is not what was last accepted. So a call after a crash or a
 * failure at any step goes on where that was. Calls for one destination are to be made one after the other.
 *
 * Rejects with DESTINATION or CHECK_FAILED, the live file being as it was; with RELOAD_FAILED, the reload being
 * still owed; with ABORTED when the turn was aborted; and with FAILED when the state folder cannot be written.
 */
export async function install(request: InstallRequest): Promise<Installed> {
  const { target, turn, accepted } = request;
  const { destination } = target;
  const bytes = Buffer.from(request.text);
  const hash = sha256(bytes);
  const { took, timed } = createStopwatch();
  const env = commandEnv(request);

  const live = await readLive(destination);
  await sweep(dirname(live.path));

  const isLive = live.file?.bytes.equals(bytes) ?? false;
  if (isLive) {
    await keepMode(target, live);
    if (accepted.get(destination) === hash) return { verdict: "unchanged", took };
    if (!(await turn.settled())) return { verdict: "superseded", took };
  } else {
    const staged = await timed("stage", () => stage(bytes, target, live));
    try {
      if (target.check) await timed("check", () => check(target, staged.path, env, turn.signal));
      if (!(await turn.settled())) return { verdict: "superseded", took };
      // A step back to what was accepted before something else was swapped in: its reload is owed again.
      if (accepted.get(destination) === hash) await accepted.forget(destination);
      await timed("swap", () => swap(staged.path, bytes, target, live, () => warnInPlace(request)));
    } finally {
      await staged.remove();
    }
  }
  if (target.reload.kind !== "none")
    await timed("reload", () => reload(target, env, turn.signal)).finally(request.reloaded);
  await accepted.set(destination, hash);
  if (!isLive) return { verdict: "applied", took };
  return { verdict: target.reload.kind === "none" ? "unchanged" : "reloaded", took };
}

/** Reloads. When `signal` aborts, the reload has a little time left, so that the swap before it counts. */
async function reload(target: Target, env: Environment, signal: AbortSignal): Promise<void> {
  const late = new AbortController();
  let cancel = () => {};
  const aborted = () => {
    cancel = after(lastReload, () => late.abort());
  };
  signal.addEventListener("abort", aborted, { once: true });
  if (signal.aborted) aborted();
  try {
    const { destination, commandTimeout: timeout } = target;
    await reloaderOf(target.reload)({ destination, timeout, env }, late.signal);
  } finally {
    signal.removeEventListener("abort", aborted);
    cancel();
  }
}

/** A mode that was configured later holds for the live file too. */
async function keepMode({ destination, mode }: Target, { path, file }: Live): Promise<void> {
  if (mode === undefined || file === undefined || file.mode === mode) return;
  await chmod(path, mode).catch((error) => {
    throw destinationError(destination, error, path);
  });
}

const warned = new Set<string>();

function warnInPlace({ target: { destination }, log }: InstallRequest): void {
  if (warned.has(destination)) return;
  warned.add(destination);
  log.warn(
    { destination },
    "is a mount of its own and is written in place, so a reader may see half; mount its folder",
  );
}

function commandEnv({ env, target, revision, changed }: InstallRequest): Environment {
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
      took[step] = monotonic() - start;
    }
  };
  return { took, timed };
}
