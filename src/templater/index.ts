import type { Backend, Interest, Snapshot } from "../backends/backend.ts";
import { createReadiness, type Daemon } from "../daemon.ts";
import type { Problem } from "../source.ts";
import type { StateDir } from "../state-dir.ts";
import { interestOf, sameInterest } from "./interest.ts";
import { type KeepOptions, keepTargets } from "./keep.ts";
import { openRecords, type Records } from "./records.ts";
import type { Target } from "./target.ts";

/** What a templater is made of. */
export interface TemplaterOptions extends KeepOptions {
  readonly state: StateDir;
  readonly backend: Backend;
  readonly targets: readonly Target[];
}

/** Keeps each target's file equal to its template over the backend. Does not close the backend. */
export function startTemplater(options: TemplaterOptions): Daemon {
  const { backend, log } = options;
  let interest: Interest = { services: new Set() };
  const observation = backend.observe(interest);
  let told: Problem["kind"] | undefined;
  let records: Promise<Records> | undefined;
  const snapshot = (): Snapshot | undefined => {
    const observed = observation.current();
    return observed.known ? observed.value : undefined;
  };
  const want = () => {
    const next = interestOf(keepers.flatMap((keeper) => keeper.reads()));
    if (sameInterest(interest, next)) return;
    interest = next;
    observation.want(interest);
    // Of what is now known to be empty, the backend says nothing.
    for (const keeper of keepers) keeper.look();
  };
  const keepers = groupsOf(options.targets).map((targets) =>
    keepTargets(targets, options, {
      snapshot,
      records: () => {
        // A failed read is tried again by the next pass.
        records ??= openRecords(options.state).catch((error: unknown) => {
          records = undefined;
          throw error;
        });
        return records;
      },
      want,
      changed: () => readiness.changed(),
    }),
  );
  const problem = () => observation.current().problem;
  /** One line for an outage, however many ways of failing it has. */
  const reportProblem = () => {
    const now = problem();
    if (now?.kind === told) return;
    if (now)
      log.error({ backend: backend.title, err: now.error }, "backend not reached; files stay as they are");
    else log.info({ backend: backend.title }, "backend is back");
    told = now?.kind;
  };
  observation.subscribe(() => {
    reportProblem();
    for (const keeper of keepers) keeper.look();
    readiness.changed();
  });

  const notReady = () => {
    const now = problem();
    return [
      ...(now ? [`${backend.title}: ${now.error.message}`] : []),
      ...keepers.flatMap((keeper) => keeper.notReady() ?? []),
    ];
  };
  const readiness = createReadiness(notReady);
  reportProblem();
  for (const keeper of keepers) keeper.look();

  return {
    notReady,
    status: () => ({
      backend: backend.title,
      problem: problem()?.error.message,
      targets: keepers.flatMap((keeper) => keeper.status()),
    }),
    synced: readiness.synced,
    refresh() {
      observation.refresh();
      for (const keeper of keepers) keeper.reload();
    },
    async stop() {
      await observation.close();
      await Promise.all(keepers.map((keeper) => keeper.stop()));
    },
  };
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
