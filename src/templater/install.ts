import { PortolanError } from "../errors.ts";
import { unsure } from "./accepted.ts";
import { keepAccess } from "./access.ts";
import { check } from "./check.ts";
import { commandEnvironment } from "./command-environment.ts";
import { commit, type Pending, removal } from "./commit.ts";
import { type Companions, placeCompanions } from "./companions.ts";
import { forget, readLive, remember } from "./destination.ts";
import { warnInPlace } from "./in-place.ts";
import type { Installed, InstallRequest } from "./install-request.ts";
import { lookNow } from "./look-ahead.ts";
import { type File, look, noFile, type Part } from "./part.ts";
import type { Records } from "./records.ts";
import { operationsFor } from "./reload/index.ts";
import { forgetSwap, noteSwap, reloadAll, resumeOnce } from "./reload-all.ts";
import { stage } from "./stage.ts";
import { createStopwatch, type Timed } from "./stopwatch.ts";
import type { Target } from "./target.ts";
import { agree, changesFor, hasAll, type Way, waysOf } from "./ways.ts";

export type { Installed, InstallRequest, Step } from "./install-request.ts";
export type { File } from "./part.ts";

/** How many accepted files are kept besides the last one, unless the target says otherwise. */
const defaultBackups = 5;

/**
 * Makes rendered texts the live files and gets them accepted: stage, check, swap, reload, verify,
 * accept. A file without a text is removed with the same care.
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

  const parts = await Promise.all(request.files.map(lookNow));
  const fresh = parts.filter(({ isLive }) => !isLive);
  for (const part of parts) if (part.isLive) await keepAccess(part);

  const ways = waysOf(
    parts.map(({ target }) => target),
    accepted,
  );
  const isOwed =
    parts.some(({ target, hash }) => (accepted.get(target.destination) ?? noFile) !== hash) ||
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
  const { accepted: by, note, operations } = result;
  const more = { ...(note !== undefined && { note }), ...(operations !== undefined && { operations }) };
  return { verdict, by, ...more, took };
}

/**
 * Gives the live files, whatever they hold, the reload that they are owed: those that were put back after a
 * reload that left open what the proxy runs with. A file that is not there is left out, unless it is to be gone.
 * Rejects like `install`.
 */
export async function reloadOwed(request: InstallRequest): Promise<Installed> {
  const files = await Promise.all(
    request.files.map(async ({ target, text }): Promise<readonly File[]> => {
      const { file } = await readLive(target.destination);
      if (file) return [{ text: file.bytes, target }];
      return text === undefined ? [{ text, target }] : [];
    }),
  );
  return install({ ...request, files: files.flat(), knownGood: true });
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
    const isChecked = fresh.some(({ target }) => target.check);
    const leaveOpen = fresh.length === 1 && !isChecked;
    await timed("stage", async () => {
      for (const part of fresh) {
        const { target, bytes, hash, live, staging } = part;
        pending.push(
          hash === noFile
            ? removal(target, live)
            : { ...part, staged: await (staging ?? stage(bytes, target, live, { leaveOpen })) },
        );
      }
    });
    if (isChecked) {
      companions = await placeCompanions(pending, records.intents);
      await timed("check", () => checkAll(pending, request));
    }
    if (!(await turn.settled())) return false;
    await request.swapping?.();
    await Promise.all(fresh.map((part) => prepare(part, records, ways)));
    const told = { inPlace: (target: Target) => warnInPlace(target, log), begun: companions?.keep };
    await timed("swap", () => commit(pending, records.intents, told));
    noteSwap(fresh);
    request.swapped?.(
      fresh.map(({ target: { destination }, bytes, hash, live: { file } }) => ({
        destination,
        before: file?.bytes,
        after: hash === noFile ? undefined : bytes,
      })),
    );
    return true;
  } finally {
    await companions?.takeAway();
    for (const { staged } of pending) await staged?.remove();
  }
}

/** What a check refuses is kept, for people to try it themselves. */
async function checkAll(pending: readonly Pending[], request: InstallRequest): Promise<void> {
  for (const { target, bytes, staged } of pending) {
    if (!staged) continue;
    const environment = commandEnvironment(request, target);
    await check(target, staged.path, environment, request.turn.signal).catch(async (error: unknown) => {
      if (!(error instanceof PortolanError) || error.code !== "CHECK_FAILED") throw error;
      const kept = await request.records.rejected.keep(target, bytes);
      if (kept === undefined) throw error;
      throw new PortolanError("CHECK_FAILED", `${error.message}\nwhat it refused: ${kept}`, { cause: error });
    });
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
  // Else nothing would tell the next process that the proxy has still to hear of a file that went.
  if (hash === noFile && known === undefined) await accepted.set(destination, unsure);
  // Nor that what it finds there is Portolan's own. Where the state folder is full, this process knows it all the same.
  if (live.file === undefined && known === undefined) await accepted.set(destination, unsure).catch(() => {});
  // What was there before Portolan is what the proxy runs with, as far as anybody knows.
  if (live.file && known === undefined && (await backups.last(destination)) === undefined)
    await backups.keep(destination, live.file.bytes, target.backups ?? defaultBackups);
}

/**
 * Notes what all proxies have taken. A state folder that is full changes nothing about that: this process knows
 * it all the same, and the next one reloads once more.
 */
async function accept(parts: readonly Part[], { records, log }: InstallRequest): Promise<void> {
  const { accepted, backups } = records;
  const writes = parts.map(async ({ target, bytes, hash, live }) => {
    const { destination } = target;
    agree(destination);
    if (hash === noFile) {
      forgetSwap(destination);
      forget(live.path);
    } else await remember(live.path, bytes);
    if ((accepted.get(destination) ?? noFile) === hash) return;
    const problems: unknown[] = [];
    const note = (error: unknown) => void problems.push(error);
    if (hash === noFile) await accepted.forget(destination).catch(note);
    else {
      await backups.keep(destination, bytes, target.backups ?? defaultBackups).catch(note);
      await accepted.set(destination, hash).catch(note);
    }
    if (problems.length > 0) log.warn({ destination, err: problems[0] }, "applied, but not recorded");
  });
  await Promise.all(writes);
}
