import type { BackendStatus, DaemonStatus, RegistratorStatus, TemplaterStatus } from "../daemon-status.ts";
import { partsOf } from "./gauges.ts";
import type { Recent } from "./recent.ts";

/**
 * What the status page shows, in pieces: each is sent anew when it has changed, and those that are large change
 * seldom. What a process does not know is absent.
 */
export interface Pieces {
  readonly process: Facts;
  readonly docker?: RegistratorStatus["docker"] & { readonly node: string | undefined };
  readonly instances?: RegistratorStatus["instances"];
  readonly overrides?: RegistratorStatus["overrides"];
  readonly remarks?: RegistratorStatus["remarks"];
  readonly backends?: readonly (Omit<BackendStatus, "held"> & { readonly held: number })[];
  readonly reading?: Pick<
    TemplaterStatus,
    "backend" | "problem" | "staleSeconds" | "unreadable" | "contested"
  >;
  readonly services?: TemplaterStatus["services"];
  readonly targets?: TemplaterStatus["targets"];
  readonly journal?: TemplaterStatus["journal"];
  readonly recent: readonly Recent[];
}

/** What is known of any process. */
export interface Facts {
  readonly version: string;
  readonly command: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  /** The time of this process' clock, RFC 3339 in UTC: ages are told by it. */
  readonly now: string;
  readonly notReady: readonly string[];
}

/** The pieces of a status. */
export function piecesOf(process: Facts, status: DaemonStatus, recent: readonly Recent[]): Pieces {
  const { registrator, templater } = partsOf(status);
  return {
    process,
    ...(registrator && {
      docker: { ...registrator.docker, node: registrator.node },
      instances: registrator.instances,
      overrides: registrator.overrides,
      remarks: registrator.remarks,
      backends: registrator.backends.map(({ held, ...backend }) => ({ ...backend, held: held.length })),
    }),
    ...(templater && {
      reading: {
        backend: templater.backend,
        problem: templater.problem,
        staleSeconds: templater.staleSeconds,
        unreadable: templater.unreadable,
        contested: templater.contested,
      },
      services: templater.services,
      targets: templater.targets,
      journal: templater.journal,
    }),
    recent,
  };
}
