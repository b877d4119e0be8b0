import { dirname } from "node:path";
import type { TargetWorld } from "../acknowledgement.ts";
import { instancesOf, type Snapshot } from "../backends/backend.ts";
import { after, backoff, monotonic, pauseUntil } from "../clock.ts";
import type { TargetStatus } from "../daemon-status.ts";
import { coded, PortolanError } from "../errors.ts";
import { type InstanceRef, refKey } from "../instance.ts";
import type { LocalContainerSource } from "../local-containers.ts";
import type { Log } from "../log.ts";
import { controlLoop, type Turn } from "../loop.ts";
import { type Meter, unmeasured } from "../meter.ts";
import type { Watched } from "../watched-files.ts";
import { isRefusal } from "./check.ts";
import { createClearance } from "./clearance.ts";
import { changedContainers } from "./containers.ts";
import type { Place } from "./destination.ts";
import { strictest } from "./guard.ts";
import { type Asked, createGuardedWorld } from "./guarded-world.ts";
import { sha256 } from "./hash.ts";
import type { Locks } from "./host-turn.ts";
import {
  type File,
  type Installed,
  type InstallRequest,
  install,
  needsReload,
  reloadOwed,
} from "./install.ts";
import { answered, keysOf } from "./interest.ts";
import { createIsolation } from "./isolation.ts";
import { keepTemplate, type Made } from "./kept-template.ts";
import { createKnownSecrets } from "./known-secrets.ts";
import type { LastGood } from "./last-good.ts";
import { locate, noFile } from "./part.ts";
import { createPinLook } from "./pin-look.ts";
import type { Pin } from "./pins.ts";
import { createQuarantine, type HeldBack, namesOf, reasonOf } from "./quarantine.ts";
import type { Records } from "./records.ts";
import { refusedFiles } from "./refused-files.ts";
import { rehearse } from "./rehearse.ts";
import { ReloadError } from "./reload/index.ts";
import type { Refused, RefusedContainer } from "./render.ts";
import { withheldOf } from "./shown-journal.ts";
import { rollbackCause } from "./step-back.ts";
import { createTally } from "./tally.ts";
import type { Target } from "./target.ts";
import { createUnitFiles, type UnitFiles } from "./unit-files.ts";
import { createVerdicts, startCause } from "./verdicts.ts";
import type { Reads, World } from "./view.ts";

/** What all targets of a templater share. */
export interface KeepOptions {
  /** For templates, checks and reloads. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The name of this host, for templates. */
  readonly node: string;
  readonly log: Log;
  /** Where it counts what it does; nowhere when absent. */
  readonly meter?: Meter;
  /** The containers of this host; absent where nobody watches its Docker. */
  readonly containers?: LocalContainerSource;
  /** The id of the container in which this process runs; undefined outside of one. */
  readonly ownContainer?: string | undefined;
  /**
   * Takes each rendered text instead of the destination, undefined for a file that would go, and what a diff of it is
   * to pass through before somebody sees it: `--dry-run`.
   */
  preview?(target: Target, text: string | undefined, masked: (diff: string) => string): void;
}

/** One target, or the targets of one group, being kept equal to their templates. */
export interface Keeper {
  /** What the backend is to be asked for. */
  reads(): readonly Reads[];
  /** The observation has changed: renders when something that a template read did. To be called for every change. */
  look(): void;
  /** Reads the templates again and renders. */
  reload(): void;
  /** A rollback may have been ordered or released. */
  pinned(): void;
  /** What is to be watched: the folders of the templates, and the files that they read. */
  watched(): Watched;
  /** These files have changed: reads or renders again what depends on them. */
  touched(paths: ReadonlySet<string>): void;
  notReady(): string | undefined;
  /** What the proxy of each target runs with. */
  running(): readonly TargetWorld[];
  /** One entry for each target. */
  status(): readonly TargetStatus[];
  /** By destination, why the diffs of the files are not shown to everybody; undefined where they are. */
  withheld(): ReadonlyMap<string, string | undefined>;
  stop(): Promise<void>;
}

/** What the loop of a group needs of the templater around it. */
export interface Surroundings {
  readonly backend: Asked;
  /** For reloads that take turns among hosts; absent where the backend has none. */
  readonly locks?: Locks | undefined;
  /** The keys and values that were asked for, as templates see them. */
  keys(): World["keys"];
  /** Whether the keys cannot be read now. */
  keysAway(): boolean;
  /** The containers of this host, as templates see them. */
  containers(): World["containers"];
  /** What the state folder knows, shared by all targets. */
  records(): Promise<Records>;
  /** What these destinations were last rendered from, by this process or the one before. */
  lastGood(destinations: readonly string[]): LastGood;
  /** Tells the backend what all templates read. */
  want(): void;
  /** What `running` says may have changed. */
  settled(): void;
  changed(): void;
}

/** ms that render, check and reload may take before `/readyz` says that a change is not applied. */
const patience = 5_000;

/** Containers that a change names as its causes. */
const mostNames = 20;

/** ms until a reload that could not be done yet is tried again. */
const poll = 500;

/** ms until a file that the proxy refused is tried again: at least, and the base and cap of what is added. */
const refusedWait = { least: 1_000, base: 2_000, cap: 300_000 };

/** All renders of a group, of one snapshot. */
interface Outcome {
  readonly made: readonly (Made & { readonly target: Target })[];
  readonly snapshot: Snapshot | undefined;
  /** What in the snapshot is not as the world has it. */
  readonly heldBack: readonly HeldBack[];
  readonly keys: World["keys"];
  /** Why it must not be installed; empty when it may. */
  readonly unmet: readonly string[];
  /** Where the files are to stand, as far as that was found out meanwhile. */
  readonly places: ReadonlyMap<Target, Promise<Place>>;
}

/** Texts that the proxy refused. They are tried again when they change, and now and then. */
interface RefusedTexts {
  readonly key: string;
  readonly tries: number;
  readonly until: number;
  readonly error: ReloadError;
}

/** Starts the loop of one target, or of one group. Nothing happens before the first `look` or `reload`. */
export function keepTargets(targets: readonly Target[], options: KeepOptions, around: Surroundings): Keeper {
  const { log, meter = unmeasured } = options;
  const destinations = targets.map(({ destination }) => destination).join(", ");
  const name = { destination: destinations };
  const minInterval = Math.max(...targets.map((target) => target.minInterval));
  const wait = {
    min: Math.max(...targets.map((target) => target.wait.min)),
    max: Math.max(...targets.map((target) => target.wait.max)),
  };
  /** True when some changes need no reload. */
  const atRuntime = targets.some(({ reload }) => reload.kind === "haproxy");
  const inAgent = options.containers !== undefined;
  const kept = targets.map((target) => ({ target, template: keepTemplate(target, { inAgent }) }));
  const world = createGuardedWorld({
    settings: strictest(targets.map(({ guard = {} }) => guard)),
    lastGood: around.lastGood(targets.map(({ destination }) => destination)),
    backend: around.backend,
    name,
    log,
    meter,
    changed: () => look(),
  });
  const unit = createUnitFiles(targets, log);
  /** For texts that are checked and nothing else: what they leave out is nobody's concern. */
  const rehearsed = createUnitFiles(targets, { error() {} });
  const quarantine = createQuarantine();
  let cancelRetry = () => {};
  const tally = createTally(destinations, meter);
  const clearance = createClearance(targets, {
    locks: around.locks,
    node: options.node,
    log,
    nudge: () => loop.nudge(),
    told: tally.turn,
  });
  const secrets = createKnownSecrets(options.env);
  const isolation = createIsolation({ quarantine, name, log, tally, mask: secrets.mask });
  const verdicts = createVerdicts(
    targets.map(({ destination }) => destination),
    async () => (await around.records()).journal,
    log,
    { shown: secrets.maskDiff, told: tally.verdict },
  );
  verdicts.because(startCause);
  /** Why the template on the disk is not the one in use. */
  let bad: unknown;
  /** The render that an install which was not finished may use again. */
  let again: Outcome | undefined;
  /** The snapshot whose texts were last applied. */
  let applied: Snapshot | undefined;
  /** What the proxy runs with; undefined while that is not known. */
  let running: readonly TargetWorld["accepted"][] | undefined;
  /** Files were swapped, and the proxy has not said yet what it makes of them. */
  let isOpen = false;
  let started = false;
  let lastReload = Number.NEGATIVE_INFINITY;
  let refusedTexts: RefusedTexts | undefined;
  /** What the proxy has still to take, for the status. */
  let owed: string | undefined;
  /** The install that was left to be made up for. */
  let debt: InstallRequest | undefined;
  let cancelPoll = () => {};
  /** When the first change came that is not rendered yet, and the first that is not applied yet. */
  let waiting: number | undefined;
  let behind: number | undefined;
  let reason: string | undefined = "not rendered yet";
  /** The gist of the failure that was logged last; undefined when there was none, or it has passed. */
  let told: string | undefined;
  let toldUnmet: string | undefined;
  /** The rollback that was last in force, by the change that it goes back before. */
  let isPinned: number | undefined;
  const refused = new Map<Target, readonly Refused[]>();
  const refusedContainers = new Map<Target, readonly RefusedContainer[]>();
  /** The containers of this host at the last look. */
  let seen: World["containers"];
  let revision = 0;
  /** The last render: when it ended on the monotonic clock, and how long it took, in ms. */
  let rendered: { readonly at: number; readonly took: number } | undefined;

  const setReason = (next: string | undefined) => {
    if (next === reason) return;
    reason = next;
    around.changed();
  };

  /** Renders the templates as they stand on the disk; while one is bad, its last good one. */
  const render = async (): Promise<Outcome> => {
    await Promise.all([world.ready, ...kept.map(({ template }) => template.prepare())]);
    behind ??= waiting;
    waiting = undefined;
    const began = monotonic();
    const places = options.preview ? new Map() : locateAll(targets);
    let made: Outcome["made"] | undefined;
    quarantine.tryAgain(monotonic());
    try {
      let guarded = world.show(readByName());
      for (let round = 1; ; round++) {
        const { snapshot, heldBack } = quarantine.show(guarded.snapshot);
        const facts = factsOf(snapshot, keysNow());
        secrets.note(facts);
        made = undefined;
        made = kept.map(({ target, template }) => ({ target, ...template.render(facts) }));
        bad = made.find((one) => one.bad !== undefined)?.bad;
        // What the templates read by name, and the guard may keep, shows only as they are rendered.
        const next = world.show(readByName());
        if (next.snapshot === guarded.snapshot || round === 3)
          return { made, snapshot, heldBack, keys: facts.keys, unmet: next.unmet, places };
        guarded = next;
      }
    } finally {
      const outcomes = made?.map(({ outcome }) => outcome);
      tally.rendered(began, outcomes);
      rendered = { at: monotonic(), took: monotonic() - began };
      around.want();
    }
  };

  const factsOf = (snapshot: Snapshot | undefined, keys: World["keys"]): World => {
    const { env, node, ownContainer } = options;
    const containers = around.containers();
    return { snapshot, keys, containers, env, node, ownContainer, file: secrets.file };
  };

  const readsNow = () => kept.map(({ template }) => template.reads());

  const keysNow = () => world.keys(around.keys(), around.keysAway());

  const readByName = () => new Set(kept.flatMap(({ template }) => [...template.reads().services]));

  const intervalOver = (signal: AbortSignal) => pauseUntil(lastReload + minInterval, signal);

  const pass = async (turn: Turn): Promise<undefined | "superseded"> => {
    try {
      const result = await keepOnce(turn);
      tally.passed(result ?? "done");
      return result;
    } catch (error) {
      await payDebt(turn);
      throw error;
    } finally {
      around.settled();
      void lookForPin();
    }
  };

  /** Nothing may have told of a rollback that has come: the next pass puts it in force. */
  const lookForPin = async () => {
    const isThere = await pins.end().catch(() => false);
    if (isThere && isPinned === undefined) loop.nudge();
  };

  const keepOnce = async (turn: Turn): Promise<undefined | "superseded"> => {
    cancelPoll();
    if (!atRuntime) await intervalOver(turn.signal);
    // While none was in force, rendering begins before that is known.
    const rendering = isPinned === undefined ? (again ?? render()) : undefined;
    const [pin] = await Promise.all([pins.begin(), Promise.allSettled([rendering])]);
    if (pin) {
      await intervalOver(turn.signal);
      return putBack(pin, turn);
    }
    if (isPinned !== undefined) verdicts.because("release");
    isPinned = undefined;
    let outcome = await (rendering ?? again ?? render());
    again = undefined;
    if (atRuntime && lastReload + minInterval > monotonic()) {
      const files = await plan(outcome);
      if (files && (await needsReload(files, await around.records()))) {
        await intervalOver(turn.signal);
        outcome = await render();
      }
    }
    let unfinished: string | undefined;
    try {
      unfinished = await apply(outcome, turn);
    } catch (error) {
      const next = await withoutFaults(error, outcome, turn);
      if (next === "superseded") return next;
      outcome = next;
      unfinished = await apply(outcome, turn);
    }
    if (unfinished === "superseded") return unfinished;
    if (bad) throw bad;
    behind = undefined;
    if (unfinished === "refused") return undefined;
    told = undefined;
    const missing = outcome.made.flatMap((one) => (one.outcome.status === "waiting" ? one.outcome.for : []));
    setReason(
      missing.length > 0
        ? `waits for ${[...new Set(missing)].sort().join(", ")}`
        : (unfinished ?? reasonOf(outcome.heldBack)),
    );
    if (unfinished === undefined) retryHeldBack();
    return undefined;
  };

  /** Tries again what is held back once it is time. */
  const retryHeldBack = () => {
    const due = quarantine.due();
    cancelRetry();
    if (due !== undefined) cancelRetry = after(Math.max(0, due - monotonic()), () => loop.nudge());
  };

  /** After a check has refused an outcome: one without the services at fault. Throws what `isolate` throws. */
  const withoutFaults = async (
    error: unknown,
    { snapshot: now, keys }: Outcome,
    turn: Turn,
  ): Promise<Outcome | "superseded"> => {
    const before = applied ?? world.left();
    if (!isRefusal(error) || now === undefined || before === undefined) throw error;
    const records = await around.records();
    const requestOf = async (snapshot: Snapshot): Promise<InstallRequest> => {
      const facts = factsOf(snapshot, keys);
      const made = kept.map(({ target, template }) => ({ target, outcome: template.rehearse(facts) }));
      const files = await rehearsed.plan(made, records.accepted);
      if (files === undefined) throw new PortolanError("TEMPLATE", "something that is read is not known yet");
      const services = changedServices(readsNow(), applied, snapshot);
      return { files, turn, records, revision: revision + 1, changed: services, env: options.env, log };
    };
    const refusal = {
      error,
      now,
      before,
      changed: changedServices(readsNow(), before, now),
      rehearse: (snapshot: Snapshot) => rehearse(() => requestOf(snapshot), tally),
    };
    if ((await isolation.isolate(refusal, turn)) === "superseded") return "superseded";
    verdicts.refused([]);
    return render();
  };

  /** A dry run is held by none. */
  const pins = createPinLook(async () =>
    options.preview ? undefined : (await around.records()).pin(targets.map(({ destination }) => destination)),
  );

  /** A dry run opens no records: that would finish what another process has begun. */
  const plan = async ({ made, places }: Outcome) => {
    const accepted = options.preview ? nothingAccepted : (await around.records()).accepted;
    const files = await unit.plan(made, accepted);
    return files?.map((file) => ({ ...file, place: places.get(file.target) }));
  };

  /** A rollback is in force: no template is rendered, and the files are what they were. */
  const putBack = async (pin: Pin, turn: Turn): Promise<undefined | "superseded"> => {
    const files = await unit.rolledBack(pin, (await around.records()).backups);
    if (isPinned !== pin.change) verdicts.because(rollbackCause);
    isPinned = pin.change;
    const unfinished = await put(files, [], applied, undefined, turn);
    if (unfinished === "superseded") return unfinished;
    waiting = undefined;
    behind = undefined;
    if (unfinished === "refused") return undefined;
    told = undefined;
    setReason(
      `rolled back to what was there before change ${pin.change}; \`portolan rollback --release\` ends that`,
    );
    return undefined;
  };

  /** Undefined when all is well, else "superseded", "refused", or what the proxy is waited for. */
  const apply = async (outcome: Outcome, turn: Turn): Promise<string | undefined> => {
    const files = await plan(outcome);
    if (files === undefined || outcome.unmet.length > 0) await payDebt(turn);
    if (files === undefined) return undefined;
    for (const one of outcome.made)
      if (one.outcome.status === "rendered") {
        reportRefused(one.target, one.outcome.refused);
        reportContainers(one.target, one.outcome.refusedContainers ?? []);
      }
    if (outcome.unmet.length > 0) {
      if (toldUnmet !== outcome.unmet.join()) log.warn({ ...name, unmet: outcome.unmet }, tooLittle);
      verdicts.tell("held", { why: `${tooLittle}: ${outcome.unmet.join("; ")}`, gist: outcome.unmet.join() });
      toldUnmet = outcome.unmet.join();
      return `${tooLittle}: ${outcome.unmet.join("; ")}`;
    }
    toldUnmet = undefined;
    if (options.preview) {
      for (const { target, text } of files)
        options.preview(target, text?.toString(), (diff) => secrets.maskDiff(diff, true));
      return undefined;
    }
    const { snapshot } = outcome;
    const services = changedServices(readsNow(), applied, snapshot);
    return put(files, services, snapshot, outcome, turn);
  };

  /** T7: what was swapped is owed its reload, also while nothing that came after it can be installed. */
  const payDebt = async (turn: Turn): Promise<void> => {
    if (debt === undefined || turn.signal.aborted) return;
    const request = { ...debt, turn };
    debt = undefined;
    const installed = await clearance
      .during(turn.signal, (cleared) => install({ ...request, clearance: cleared }))
      .catch((error: unknown) => {
        if (error instanceof ReloadError && error.left === "none") debt = request;
        throw error;
      });
    if (installed.verdict === "owed" || installed.verdict === "superseded") {
      debt = request;
      return pollAt(installed.owed?.retryIn ?? poll);
    }
    await unit.settle(request.files);
    isOpen = false;
    accept(installed, request.changed, applied, []);
  };

  /** Installs what was rendered, or what a rollback asks for. Says what `apply` says. */
  const put = async (
    files: readonly File[],
    services: readonly string[],
    snapshot: Snapshot | undefined,
    outcome: Outcome | undefined,
    turn: Turn,
  ): Promise<string | undefined> => {
    /** What has passed its check is what the next process begins with. */
    const passed = () => {
      if (outcome) world.keep(outcome.snapshot, answered(outcome.keys, keysOf(readsNow())));
    };
    const request: InstallRequest = {
      files,
      turn,
      records: await around.records(),
      revision: revision + 1,
      changed: services,
      env: options.env,
      log,
      interval: () => intervalOver(turn.signal),
      swapping: () => unit.claim(files),
      begun: passed,
      swapped: (swapped) => {
        isOpen = true;
        debt = undefined;
        verdicts.swapped(swapped);
      },
      reloaded: () => {
        lastReload = monotonic();
      },
    };
    const keyOf = () =>
      sha256(files.map(({ text, target }) => `${target.destination} ${hashOf(text)}`).join());
    if (refusedTexts && refusedTexts.key === keyOf() && monotonic() < refusedTexts.until) {
      // What was put back may be owed a reload of its own.
      if (refusedTexts.error.left === "open" && refusedTexts.error.restored) await reloadOwed(request);
      setReason(`RELOAD_FAILED: ${refusedTexts.error.message}`);
      pollAt(refusedTexts.until - monotonic());
      return "refused";
    }
    try {
      const installed = await clearance.during(turn.signal, (cleared) =>
        install({ ...request, clearance: cleared }),
      );
      tally.installed(installed, behind);
      if (installed.verdict === "superseded") return "superseded";
      debt = installed.verdict === "owed" ? request : undefined;
      refusedTexts = undefined;
      passed();
      isolation.begin();
      for (const service of outcome ? quarantine.settle(outcome.heldBack) : [])
        log.info({ ...name, service }, "no longer held back");
      if (installed.verdict === "owed") {
        running = undefined;
        return waitFor(installed, services, outcome);
      }
      await unit.settle(files);
      const heldBack = outcome?.heldBack ?? [];
      if (heldBack.length === 0) for (const target of targets) await request.records.rejected.drop(target);
      isOpen = false;
      running = outcome && acceptedWorlds(outcome, unit);
      return accept(installed, services, snapshot, heldBack);
    } catch (error) {
      tally.notInstalled(error);
      if (isRefusal(error)) verdicts.refused(await refusedFiles(files));
      if (error instanceof ReloadError && error.left === "before") isOpen = false;
      else if (isOpen || error instanceof ReloadError) running = undefined;
      if (!(error instanceof ReloadError) || error.left === "none") throw error;
      refuse(error, keyOf());
      return "refused";
    }
  };

  const accept = (
    { verdict, by, note, took }: Installed,
    services: readonly string[],
    snapshot: Snapshot | undefined,
    heldBack: readonly HeldBack[],
  ): undefined => {
    applied = snapshot;
    owed = undefined;
    const held = namesOf(heldBack);
    const why = note === undefined || held === undefined ? (note ?? held) : `${note}; ${held}`;
    if (verdict === "applied" || verdict === "reloaded" || verdict === "unchanged")
      verdicts.tell(verdict, { services, by, why, tookMs: rounded(took) });
    if (verdict === "unchanged") return;
    revision += 1;
    log.info({ ...name, services, revision, by, because: note, tookMs: rounded(took) }, verdict);
  };

  /** The file is live, and the proxy takes it later: it is asked again soon, with what was rendered. */
  const waitFor = (
    { owed: next, took }: Installed,
    services: readonly string[],
    outcome: Outcome | undefined,
  ): string | undefined => {
    const why = next?.reason ?? "";
    verdicts.tell("owed", { services, why, gist: gist("", why), tookMs: rounded(took) });
    if (owed === undefined) log.info({ ...name, reason: why }, "written; the proxy has still to take it");
    owed = why;
    // What has changed since it was rendered is not in it.
    again = waiting === undefined && outcome ? { ...outcome, places: new Map() } : undefined;
    pollAt(next?.retryIn ?? poll);
    return next?.owed === "held" ? why : undefined;
  };

  /** The proxy said no to these texts. */
  const refuse = (error: ReloadError, key: string) => {
    const tries = refusedTexts?.key === key ? refusedTexts.tries + 1 : 0;
    const { least, base, cap } = refusedWait;
    const retryIn = least + backoff(tries, base, cap);
    refusedTexts = { key, tries, until: monotonic() + retryIn, error };
    report(error, retryIn);
    pollAt(error.left === "open" && error.restored ? 0 : retryIn);
  };

  /** Runs a pass after `ms`, unless one comes before. */
  const pollAt = (ms: number) => {
    cancelPoll();
    cancelPoll = after(Math.max(0, ms), () => loop.nudge());
  };

  /** Nothing is done before it is known what the process before has left. */
  const look = () => {
    if (!isReady) return;
    const wasHeld = world.notReady().length > 0;
    world.look();
    const { snapshot } = quarantine.show(world.show(readByName()).snapshot);
    const now = { snapshot, keys: keysNow(), containers: around.containers() };
    const isNews = !started || !kept.every(({ template }) => template.shows(now));
    const queries = kept.flatMap(({ template }) => [...(template.reads().containers?.values() ?? [])]);
    // What was not known before is no change.
    const changed = seen === undefined ? [] : changedContainers(queries, seen, now.containers);
    for (const container of [...changed].slice(0, mostNames)) verdicts.because(`container ${container}`);
    seen = now.containers;
    if (isNews && wasHeld && reason === undefined) reason = "what was held is being applied";
    const [held] = world.notReady();
    if (held !== undefined) verdicts.tell("held", { why: held, gist: held });
    around.changed();
    if (!isNews) return;
    started = true;
    nudge();
  };

  const reportRefused = (target: Target, next: readonly Refused[]) => {
    for (const { id, service, reason: why } of next) {
      if (refused.get(target)?.some((before) => before.id === id && before.reason === why)) continue;
      const fields = { destination: target.destination, service, id, code: "VALUE_REFUSED" };
      log.error(fields, `instance left out: ${why}`);
      tally.quarantined();
    }
    refused.set(target, next);
  };

  const reportContainers = (target: Target, next: readonly RefusedContainer[]) => {
    const before = refusedContainers.get(target) ?? [];
    for (const { name: container, reason: why } of next) {
      if (before.some((one) => one.name === container && one.reason === why)) continue;
      const fields = { destination: target.destination, container, code: "VALUE_REFUSED" };
      log.error(fields, `container left out: ${why}`);
    }
    refusedContainers.set(target, next);
  };

  const nudge = () => {
    again = undefined;
    waiting ??= monotonic();
    loop.nudge();
  };

  /** A check that hangs is no failure yet, but the file is not what it should be either. */
  const overdue = (): string | undefined => {
    const since = behind ?? waiting;
    if (since === undefined) return undefined;
    const late = monotonic() - since;
    if (late < wait.max + minInterval + patience) return undefined;
    return `a change of ${Math.round(late / 1000)} s ago is not applied yet`;
  };

  const report = (error: unknown, retryIn: number) => {
    // Programs quote the file that they complain of.
    const whole = coded("FAILED", error);
    const { code, message } = { code: whole.code, message: secrets.mask(whole.message) };
    const news = gist(code, message);
    const isWritten = error instanceof ReloadError && error.left === "none";
    verdicts.tell(isWritten ? "owed" : "rejected", { why: `${code}: ${message}`, gist: news });
    const level = news === told ? "debug" : "error";
    const what = error === bad ? "template not used, the one before stays" : "not applied";
    const err = message === whole.message ? error : new PortolanError(code, message);
    log[level]({ ...name, err, retryInMs: Math.round(retryIn) }, `${what}; trying again`);
    told = news;
    setReason(`${code}: ${message}`);
  };

  const reread = () => {
    for (const { template } of kept) template.reread();
    refusedTexts = undefined;
    quarantine.tryAgain();
    isolation.begin();
    verdicts.because("templates read again");
    nudge();
  };

  const watched = (): Watched => ({
    files: new Set(kept.flatMap(({ template }) => [...(template.wanted().files ?? [])])),
    folders: new Set(targets.map(({ source }) => dirname(source))),
  });

  const failed = (error: unknown, retryIn: number) => {
    tally.passed("failed");
    report(error, retryIn);
  };
  const loop = controlLoop({ wait, pass, failed });
  let isReady = false;
  let isStopped = false;
  void world.ready.then(() => {
    if (isStopped) return;
    isReady = true;
    look();
    around.changed();
  });

  return {
    reads: () => kept.map(({ template }) => template.wanted()),
    look,
    reload() {
      // Whoever asks for it wants to hear what is wrong, also when it is what was wrong before.
      told = undefined;
      reread();
    },
    watched,
    touched(paths) {
      const { files, folders } = watched();
      const isTemplate = (path: string) => path.endsWith(".hbs") && folders.has(dirname(path));
      if ([...paths].some(isTemplate)) return reread();
      if (![...paths].some((path) => files.has(path))) return;
      verdicts.because("a file that the templates read has changed");
      nudge();
    },
    pinned() {
      refusedTexts = undefined;
      pins.changed();
      nudge();
    },
    notReady() {
      const [held] = world.notReady();
      const why = reason ?? held ?? world.unsure() ?? overdue();
      return why === undefined ? undefined : `${destinations}: ${why}`;
    },
    running: () =>
      kept.map(({ template }, index) => ({
        reads: template.isKnown() ? template.wanted() : undefined,
        accepted: running?.[index],
      })),
    status: () =>
      kept.map(({ target, template }) => {
        const reads = template.reads();
        return {
          source: target.source,
          destination: target.destination,
          ...(target.group !== undefined && { group: target.group }),
          reload: target.reload.kind,
          hasCheck: target.check !== undefined,
          ...(unit.leftOut(target).length > 0 && { leftOut: unit.leftOut(target) }),
          reason,
          ...(owed !== undefined && { owed }),
          revision,
          reads: {
            services: [...reads.services],
            all: reads.all,
            ...(reads.containers && { containers: true as const }),
          },
          ...(rendered && {
            rendered: {
              secondsAgo: Math.round((monotonic() - rendered.at) / 1000),
              tookMs: Math.round(rendered.took * 10) / 10,
            },
          }),
          ...world.status(),
          ...(quarantine.status().length > 0 && { heldBack: quarantine.status() }),
          refused: refused.get(target) ?? [],
          ...(refusedContainers.get(target)?.length && {
            refusedContainers: refusedContainers.get(target),
          }),
        };
      }),
    withheld: () =>
      new Map(kept.map(({ target, template }) => [target.destination, withheldOf(target, template.reads())])),
    async stop() {
      isStopped = true;
      cancelPoll();
      await loop.stop();
      cancelPoll();
      cancelRetry();
      await clearance.stop();
      await world.stop();
      await verdicts.written();
    },
  };
}

/** Where the files of these targets are to stand, found out while they are rendered. A failure shows in the install. */
function locateAll(targets: readonly Target[]): Outcome["places"] {
  const alone = targets.filter(({ forEach }) => forEach === undefined);
  const places = alone.map((target) => [target, locate(target)] as const);
  for (const [, place] of places) place.catch(() => {});
  return new Map(places);
}

const hashOf = (text: File["text"]) => (text === undefined ? noFile : sha256(text));

const nothingAccepted = { get: () => undefined, destinations: () => [] };

const tooLittle = "the guard wants more than there is, and the file stays as it is";

/** What each file was made from: those who wait for an instance are told of it. */
function acceptedWorlds(
  { made, snapshot }: Outcome,
  unit: Pick<UnitFiles, "leftOut">,
): readonly TargetWorld["accepted"][] {
  return made.map(({ target, outcome }) => {
    const refused = new Set(outcome.status === "rendered" ? outcome.refused.map(refKey) : []);
    const services = new Set(unit.leftOut(target).map(({ service }) => service));
    const isLeftOut = (ref: InstanceRef) => services.has(ref.service) || refused.has(refKey(ref));
    return { instances: snapshot?.services ?? new Map(), reads: outcome.reads, isLeftOut };
  });
}

/**
 * What two messages of one failure have in common: programs print their pid, the time and temporary files. In a
 * template's own mistakes the numbers are lines.
 */
function gist(code: string, message: string): string {
  return code + (code === "TEMPLATE" ? message : message.replace(/\/tmp\/\S+|\d+/g, "#"));
}

/** The services whose instances differ between two snapshots, among those that the templates read. */
function changedServices(
  reads: readonly Reads[],
  before: Snapshot | undefined,
  after: Snapshot | undefined,
): readonly string[] {
  const names = new Set(reads.flatMap(({ services }) => [...services]));
  if (reads.some(({ all }) => all))
    for (const snapshot of [before, after])
      for (const name of snapshot?.services.keys() ?? []) names.add(name);
  const of = (snapshot: Snapshot | undefined, name: string) => snapshot && instancesOf(snapshot, name);
  return [...names]
    .filter(
      (name) => of(before, name) !== of(after, name) && (of(before, name)?.length || of(after, name)?.length),
    )
    .sort();
}

function rounded(took: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(took).map(([step, ms]) => [step, Math.round(ms * 10) / 10]));
}
