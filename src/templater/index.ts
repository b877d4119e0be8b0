import type { Backend, Interest, Snapshot } from "../backends/backend.ts";
import { createReadiness, type Daemon } from "../daemon.ts";
import type { Problem } from "../source.ts";
import type { StateDir } from "../state-dir.ts";
import { type Accepted, openAccepted } from "./accepted.ts";
import { interestOf, sameInterest } from "./interest.ts";
import { type KeepOptions, keepTarget } from "./keep.ts";
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
  let accepted: Promise<Accepted> | undefined;
  const snapshot = (): Snapshot | undefined => {
    const observed = observation.current();
    return observed.known ? observed.value : undefined;
  };
  const want = () => {
    const next = interestOf(keepers.map((keeper) => keeper.reads()));
    if (sameInterest(interest, next)) return;
    interest = next;
    observation.want(interest);
    // Of what is now known to be empty, the backend says nothing.
    for (const keeper of keepers) keeper.look();
  };
  const keepers = options.targets.map((target) =>
    keepTarget(target, options, {
      snapshot,
      accepted: () => {
        // A failed read is tried again by the next pass.
        accepted ??= openAccepted(options.state).catch((error: unknown) => {
          accepted = undefined;
          throw error;
        });
        return accepted;
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
      targets: keepers.map((keeper) => keeper.status()),
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
