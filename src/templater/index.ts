import type { Backend, Interest, Snapshot } from "../backends/backend.ts";
import { createReadiness, type Daemon } from "../daemon.ts";
import type { StateDir } from "../state-dir.ts";
import { type Accepted, openAccepted } from "./accepted.ts";
import { type KeepOptions, keepTarget } from "./keep.ts";
import type { Target } from "./target.ts";
import type { Reads } from "./view.ts";

/** What a templater is made of. */
export interface TemplaterOptions extends KeepOptions {
  readonly state: StateDir;
  readonly backend: Backend;
  readonly targets: readonly Target[];
}

/** Keeps each target's file equal to its template over the backend. Does not close the backend. */
export function startTemplater(options: TemplaterOptions): Daemon {
  const { backend, log } = options;
  const observation = backend.observe({ services: new Set() });
  let problem: string | undefined;
  let accepted: Promise<Accepted> | undefined;
  const want = () => observation.want(interestOf(keepers.map((keeper) => keeper.reads())));
  const keepers = options.targets.map((target) =>
    keepTarget(target, options, {
      snapshot: () => snapshotOf(observation.current()),
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
  observation.subscribe(() => {
    const now = observation.current();
    const message = now.problem?.error.message;
    if (message !== undefined && message !== problem) {
      log.error(
        { backend: backend.title, err: now.problem?.error },
        "backend not reached; files stay as they are",
      );
    }
    if (message === undefined && problem !== undefined)
      log.info({ backend: backend.title }, "backend is back");
    problem = message;
    for (const keeper of keepers) keeper.look();
    readiness.changed();
  });

  const notReady = () => [
    ...(problem === undefined ? [] : [`${backend.title}: ${problem}`]),
    ...keepers.flatMap((keeper) => keeper.notReady() ?? []),
  ];
  const readiness = createReadiness(notReady);
  for (const keeper of keepers) keeper.look();

  return {
    notReady,
    status: () => ({ backend: backend.title, problem, targets: keepers.map((keeper) => keeper.status()) }),
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

function snapshotOf(observed: { known: boolean; value?: Snapshot }): Snapshot | undefined {
  return observed.known ? observed.value : undefined;
}

function interestOf(all: readonly Reads[]): Interest {
  if (all.some((reads) => reads.all)) return { services: "all" };
  return { services: new Set(all.flatMap((reads) => [...reads.services])) };
}
