import type { Backend, Interest, KeyObservation, KeyWants, Snapshot } from "../backends/backend.ts";
import { monotonic, soon } from "../clock.ts";
import { createReadiness, type Daemon } from "../daemon.ts";
import type { TemplaterStatus } from "../daemon-status.ts";
import { PortolanError } from "../errors.ts";
import { unmeasured } from "../meter.ts";
import type { Problem } from "../source.ts";
import type { StateDir } from "../state-dir.ts";
import { type Watched, watchFiles } from "../watched-files.ts";
import { acknowledge } from "./acknowledge.ts";
import { scopeOf } from "./containers.ts";
import { createContested } from "./contested.ts";
import { interestOf, keysOf, sameInterest, sameKeyWants, sameSet } from "./interest.ts";
import { type KeepOptions, keepTargets } from "./keep/index.ts";
import { openLastGood } from "./last-good.ts";
import { watchPins } from "./pins.ts";
import { openRecords, type Records } from "./records.ts";
import { shownJournal } from "./shown-journal.ts";
import { shownServices } from "./shown-services.ts";
import type { Target } from "./target.ts";
import { createUnreadable } from "./unreadable.ts";

/** What a templater is made of. */
export interface TemplaterOptions extends KeepOptions {
  readonly state: StateDir;
  readonly backend: Backend;
  readonly targets: readonly Target[];
  /** True while it is stopped only to be started again: what it told others of itself stays. */
  restarting?(): boolean;
}

/**
 * Keeps each target's file equal to its template over the backend. Does not close the backend. When it throws, what it
 * had begun is ended.
 */
export function startTemplater(options: TemplaterOptions): Daemon<TemplaterStatus> {
  const ends: (() => Promise<void>)[] = [];
  try {
    return start(options, (end) => void ends.push(end));
  } catch (error) {
    for (const end of ends) void end().catch(() => {});
    throw error;
  }
}

/** Says of each piece that runs by itself how it is ended. */
function start(
  options: TemplaterOptions,
  begun: (end: () => Promise<void>) => void,
): Daemon<TemplaterStatus> {
  const { backend, log, meter = unmeasured } = options;
  assertTurns(options);
  let interest: Interest = { services: new Set() };
  const observation = backend.observe(interest);
  begun(async () => observation.close());
  let told: Problem["kind"] | undefined;
  /** Since when the backend may say something else than what is known of it: ms on the monotonic clock. */
  let staleSince: number | undefined = monotonic();
  let records: Promise<Records> | undefined;
  /** The same once they are read. */
  let opened: Records | undefined;
  // Nothing expires where nobody else's host can die.
  const settles = backend.capabilities.expiry === "none" ? { hold: 0 } : {};
  const files = watchFiles((paths) => {
    for (const keeper of keepers) keeper.touched(paths);
  });
  begun(files.close);
  let watched: Watched = { files: new Set(), folders: new Set() };
  /** Resolves when every change of what is read from now on will be told. */
  const watch = async () => {
    const all = keepers.map((keeper) => keeper.watched());
    const next = {
      files: new Set(all.flatMap((one) => [...one.files])),
      folders: new Set(all.flatMap((one) => [...one.folders])),
    };
    if (sameSet(next.files, watched.files) && sameSet(next.folders, watched.folders)) return;
    const isNew = [...next.files].filter((path) => !watched.files.has(path));
    watched = next;
    await files.watch(next);
    // It may have changed after it was read and before it was watched.
    for (const keeper of isNew.length > 0 ? keepers : []) keeper.touched(new Set(isNew));
  };
  /** Watched from the first key on that a template reads. */
  let keys: KeyObservation | undefined;
  let keyWants: KeyWants = { keys: new Set(), trees: new Set() };
  let toldKeys: Problem["kind"] | undefined;
  const keyProblem = () => keys?.current().problem;
  const wantKeys = () => {
    const next = keysOf(keepers.flatMap((keeper) => keeper.reads()));
    if (backend.kv === undefined || sameKeyWants(next, keyWants)) return;
    keyWants = next;
    if (keys) return keys.want(next);
    keys = backend.kv.watch(next);
    keys.subscribe(() => {
      const now = keyProblem();
      if (now && now.kind !== toldKeys)
        log.error({ backend: backend.title, err: now.error }, "keys not reached; files stay as they are");
      toldKeys = now?.kind;
      look();
      readiness.changed();
    });
    look();
  };
  const keysNow = () => {
    if (backend.kv === undefined) return "none";
    const now = keys?.current();
    return now?.known ? now.value : undefined;
  };
  const { containers } = options;
  const containersNow = () => {
    if (containers === undefined) return "none";
    const now = containers.current();
    return now.known ? now.value : undefined;
  };
  const want = () => {
    void watch();
    wantKeys();
    containers?.want(scopeOf(keepers.flatMap((keeper) => keeper.reads())));
    const next = interestOf(keepers.flatMap((keeper) => keeper.reads()));
    if (sameInterest(interest, next)) return;
    interest = next;
    observation.want(interest);
    // Of what is now known to be empty, the backend says nothing.
    look();
  };
  /** What is read before it is watched could change unseen. */
  const look = () => {
    for (const keeper of isWatching ? keepers : []) keeper.look();
  };
  const keepers = groupsOf(
    options.targets.map((target) => ({ ...target, guard: { ...target.guard, ...settles } })),
  ).map((targets) => {
    const keeper = keepTargets(targets, options, {
      backend: {
        observed: observation.current,
        refresh: observation.refresh,
        ...(backend.living && { living: backend.living }),
      },
      locks: backend.lock,
      keys: keysNow,
      keysAway: () => keyProblem() !== undefined,
      containers: containersNow,
      lastGood: (destinations) => openLastGood(options.state, destinations),
      records: () => {
        // A failed read is tried again by the next pass.
        records ??= openRecords(options.state).then(
          (now) => {
            opened = now;
            return now;
          },
          (error: unknown) => {
            records = undefined;
            throw error;
          },
        );
        return records;
      },
      want,
      settled: () => acknowledger?.changed(),
      changed: () => readiness.changed(),
    });
    begun(keeper.stop);
    return keeper;
  });
  // What writes no file has nothing to tell.
  const notes = options.preview ? undefined : backend.notes?.("templaters");
  const acknowledger =
    notes &&
    acknowledge({
      notes,
      node: options.node,
      state: options.state,
      targets: () => keepers.flatMap((keeper) => keeper.running()),
      log,
    });
  begun(async () => acknowledger?.stop(true));
  const unsubscribe = containers?.subscribe(() => {
    look();
    readiness.changed();
  });
  begun(async () => unsubscribe?.());
  const problem = () => observation.current().problem;
  const unreadable = createUnreadable(backend.title, log);
  const contested = createContested(log);
  /** One line for an outage, however many ways of failing it has. */
  const reportProblem = () => {
    const now = problem();
    if (observation.current().known && now === undefined) staleSince = undefined;
    else staleSince ??= monotonic();
    if (now?.kind === told) return;
    if (now)
      log.error({ backend: backend.title, err: now.error }, "backend not reached; files stay as they are");
    else log.info({ backend: backend.title }, "backend is back");
    told = now?.kind;
  };
  const known = (): Snapshot | undefined => {
    const now = observation.current();
    return now.known ? now.value : undefined;
  };
  let seen = known();
  const tell = () => {
    telling = undefined;
    unreadable.see(observation.current());
    contested.see(observation.current());
  };
  /** Cancels what is about to be told. */
  let telling: (() => void) | undefined;
  observation.subscribe(() => {
    reportProblem();
    look();
    // No file waits for what is only told to people.
    telling ??= soon(tell);
    if (known() !== seen) meter.count("snapshots", { backend: backend.title });
    seen = known();
    readiness.changed();
  });

  const notReady = () => {
    const now = (problem() ?? keyProblem())?.error.message;
    return [
      ...(now === undefined ? [] : [now.includes(backend.title) ? now : `${backend.title}: ${now}`]),
      ...keepers.flatMap((keeper) => keeper.notReady() ?? []),
    ];
  };
  const readiness = createReadiness(notReady);
  reportProblem();
  tell();
  let isWatching = false;
  void watch().then(() => {
    isWatching = true;
    look();
  });
  const unwatch = watchPins(options.state.path, () => {
    for (const keeper of keepers) keeper.pinned();
  });

  return {
    notReady,
    status: () => ({
      backend: backend.title,
      problem: (problem() ?? keyProblem())?.error.message,
      staleSeconds: staleSince === undefined ? 0 : Math.round((monotonic() - staleSince) / 1000),
      services: shownServices(known()),
      unreadable: unreadable.status(),
      contested: contested.status(),
      targets: keepers.flatMap((keeper) => keeper.status()),
      journal: shownJournal(
        opened?.journal.recent() ?? [],
        new Map(keepers.flatMap((keeper) => [...keeper.withheld()])),
      ),
      ...(acknowledger && { acknowledgement: acknowledger.status() }),
    }),
    synced: readiness.synced,
    refresh() {
      observation.refresh();
      for (const keeper of keepers) keeper.reload();
    },
    async stop() {
      unwatch();
      unsubscribe?.();
      await files.close();
      await Promise.all([observation.close(), keys?.close()]);
      telling?.();
      await Promise.all(keepers.map((keeper) => keeper.stop()));
      await acknowledger?.stop(!options.restarting?.());
    },
  };
}

/** Hosts can only take turns where all of them see one lock. Throws CONFIG. */
function assertTurns({ backend, targets }: TemplaterOptions): void {
  const target = targets.find(({ reloadTurns }) => reloadTurns !== undefined);
  if (target === undefined || backend.lock) return;
  const wayOut =
    "leave reloadTurns out, or use consul://, etcd://, zookeeper:// or a file:// that all hosts share";
  throw new PortolanError(
    "CONFIG",
    `${backend.title} has no locks by which hosts could take turns to reload ${target.destination}: ${wayOut}`,
  );
}

/** Targets of one group together, each other one alone; in the order of the configuration. */
function groupsOf(targets: readonly Target[]): readonly (readonly Target[])[] {
  const groups = new Map<string | Target, Target[]>();
  for (const target of targets) {
    const key = target.group ?? target;
    groups.set(key, [...(groups.get(key) ?? []), target]);
  }
  return [...groups.values()];
}
