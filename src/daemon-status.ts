import type { Instance } from "./instance.ts";
import type { Override } from "./override.ts";

/**
 * What a daemon shows of itself at `/status`, as JSON. A registrator and a templater fill one shape each; an agent
 * has both, below their names. Numbers of seconds are ages, so that nobody needs to compare clocks.
 */
export type DaemonStatus = Partial<RegistratorStatus> & Partial<TemplaterStatus> & Partial<AgentStatus>;

/** An agent: both in one process. */
export interface AgentStatus {
  readonly registrator: RegistratorStatus;
  /** Undefined while it waits for the registrator. */
  readonly templater: TemplaterStatus | undefined;
}

/** A registrator: what runs on its Docker, and what its backends hold of it. */
export interface RegistratorStatus {
  readonly docker: {
    readonly url: string;
    readonly id: string | undefined;
    readonly apiVersion: string | undefined;
    readonly problem: string | undefined;
    /** For how long Docker may say something else than what is known of it; 0 when it is watched. */
    readonly staleSeconds: number;
  };
  readonly node: string | undefined;
  readonly instances: readonly ShownInstance[];
  /** What operators have ordered of this node and its instances. */
  readonly overrides: readonly Override[];
  /** What is not registered, and what was not used, each with its reason. */
  readonly remarks: readonly ShownRemark[];
  readonly backends: readonly BackendStatus[];
}

/** An instance; of its checks just the keys, since headers, bodies and URLs hold secrets. */
export interface ShownInstance extends Omit<Instance, "checks"> {
  readonly checks?: readonly string[];
  /** When its container was started, as Docker says; only where that is known. */
  readonly started?: string;
}

/** A port that is not registered, or a value that was not used, and why. */
export interface ShownRemark {
  readonly kind: "skipped" | "mistake";
  /** Of a mistake: the error code that it is told by. */
  readonly code?: string;
  readonly container: string;
  readonly port?: string;
  readonly reason: string;
}

/** One backend, as the registrator that writes there sees it. */
export interface BackendStatus {
  readonly backend: string;
  /** Whether the host's lease is held: it counts as lost once its last heartbeat is older than its time to live. */
  readonly joined: boolean;
  readonly problem: string | undefined;
  /** Seconds that the lease lives without a heartbeat; 0: for ever. Absent before the first one. */
  readonly ttl?: number;
  readonly renewedSeconds?: number;
  /** For how long it may hold something else than it should; 0 when it holds that. */
  readonly staleSeconds: number;
  readonly held: readonly ShownInstance[];
}

/** A templater: what it knows of the backend, and its targets. */
export interface TemplaterStatus {
  readonly backend: string;
  readonly problem: string | undefined;
  readonly staleSeconds: number;
  /** What the backend says of the services that are read, in order. */
  readonly services: readonly ShownService[];
  readonly unreadable: readonly { readonly place: string; readonly reason: string }[];
  /** Services of which several ready instances claim at once to be the master. */
  readonly contested: readonly {
    readonly code: "TWO_MASTERS";
    readonly service: string;
    readonly ids: readonly string[];
  }[];
  readonly targets: readonly TargetStatus[];
  /** What was done last, the newest first. */
  readonly journal: readonly ShownEntry[];
  readonly acknowledgement?: object;
}

/** A service as the backend has it. */
export interface ShownService {
  readonly name: string;
  /** How many there are in all. */
  readonly count: number;
  readonly ready: number;
  /** Ordered by id; fewer than `count` where there are too many to show. */
  readonly instances: readonly ShownInstance[];
}

/** A target, and how its file stands. */
export interface TargetStatus {
  readonly source: string;
  readonly destination: string;
  readonly group?: string;
  /** How the proxy is told: `haproxy`, `command`, …, `none`. */
  readonly reload: string;
  readonly hasCheck: boolean;
  /** Why the file is not what it should be; absent when it is. */
  readonly reason: string | undefined;
  /** What the proxy has still to take. */
  readonly owed?: string;
  /** How many installs the proxy has accepted from this process. */
  readonly revision: number;
  readonly reads: { readonly services: readonly string[]; readonly all: boolean; readonly containers?: true };
  readonly rendered?: { readonly secondsAgo: number; readonly tookMs: number };
  readonly held?: readonly {
    readonly service: string;
    readonly ids: readonly string[];
    readonly why: string;
  }[];
  /** Services that the file shows as they were, because the check refuses what they have become. */
  readonly heldBack?: readonly { readonly service: string; readonly why: string }[];
  readonly lastGoodOf?: string;
  readonly refused: readonly { readonly id: string; readonly service: string; readonly reason: string }[];
  readonly refusedContainers?: readonly { readonly name: string; readonly reason: string }[] | undefined;
  readonly leftOut?: readonly { readonly service: string; readonly reason: string }[];
}

/** An entry of the journal, with the diffs that everybody may see. */
export interface ShownEntry {
  readonly number: number;
  readonly at: string;
  readonly targets: readonly string[];
  readonly cause: readonly string[];
  readonly verdict: string;
  readonly by?: string | undefined;
  readonly why?: string | undefined;
  readonly tookMs: Readonly<Record<string, number>>;
  readonly files: readonly ShownFile[];
  /** How many files it has besides those. */
  readonly moreFiles: number;
}

/** A file that was changed, or that was refused before it was. */
export interface ShownFile {
  readonly destination: string;
  readonly diff?: string;
  /** Why there is no diff. */
  readonly withheld?: string;
}
