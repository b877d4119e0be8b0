import type { Instance, InstanceRef } from "../instance.ts";
import type { Source } from "../source.ts";

/**
 * Who writes records: one Docker on one host. `text` is the owner field of its records. `run` tells two
 * processes of the same owner apart, so that an upgraded registrator takes over and the old one yields.
 */
export interface Owner {
  readonly node: string;
  /** Docker's own id (`/info` ID). */
  readonly engine: string;
  /** Random per process. */
  readonly run: string;
}

/** The owner field of an instance record. */
export function ownerText(owner: Owner): string {
  return `${owner.node}/${owner.engine}`;
}

/** The services that a reader wants to be told about. */
export interface Interest {
  readonly services: ReadonlySet<string> | "all";
}

/**
 * What the backend holds, as far as somebody is interested. Immutable; shares unchanged parts with the
 * snapshot before.
 */
export interface Snapshot {
  /** Instances by service name; names and, within one, ids are in order. */
  readonly services: ReadonlyMap<string, readonly Instance[]>;
  /**
   * True: a service that is not in `services` has no instances. False: only the services in the map were
   * answered, all others are unknown.
   */
  readonly complete: boolean;
  /** Keys that hold something unreadable, with the reason. They never hide their siblings. */
  readonly invalid: ReadonlyMap<string, string>;
}

/** The instances of a service: an empty list when there are none, undefined while that is unknown. */
export function instancesOf(snapshot: Snapshot, service: string): readonly Instance[] | undefined {
  return snapshot.services.get(service) ?? (snapshot.complete ? [] : undefined);
}

/** A running observation. Its snapshots are never older than the ones before. */
export interface Observation extends Source<Snapshot> {
  /** Replaces the interest. What was known of services that stay wanted stays known. */
  want(interest: Interest): void;
}

/** The answer to a renewal. */
export interface Renewal {
  /**
   * Seconds without a renewal after which the server lets this host's records expire, as it granted them.
   * 0: they never do, and no further renewal is owed.
   */
  readonly ttl: number;
  /** True when the lease was taken anew: whatever was registered under an earlier one may be gone. */
  readonly fresh: boolean;
}

/** What became of a registration. */
export interface Registered {
  /** Attributes that this backend cannot hold and that were left out, e.g. `meta.a.b: …`; mostly empty. */
  readonly leftOut: readonly string[];
}

/**
 * The right of one owner to write the records of its host: one etcd lease, ZooKeeper session, Consul TTL
 * check or heartbeat file, however many records hang on it.
 *
 * Every method rejects with a coded error: BACKEND_UNREACHABLE, BACKEND_DENIED, or ABORTED once `signal`
 * is aborted. A rejected write may or may not have happened; calling it again is always right.
 */
export interface Lease {
  /**
   * Takes the lease when there is none, else beats once. Must have succeeded before any other method.
   * Taking it claims `nodes/<node>`, and moves the owner's records from an earlier run under this lease, so
   * that a registrator which is replaced leaves no gap. Rejects with NODE_TAKEN while another engine's lease
   * on the node lives, and with SUPERSEDED once another run of the same owner took over and lives.
   */
  renew(signal: AbortSignal): Promise<Renewal>;
  /**
   * Creates or replaces one record. Registering an equal record again is harmless. Rejects with NOT_OWNER,
   * and changes nothing, where the record belongs to another owner, or to none and is not adopted; with
   * LEASE_LOST when the lease is gone: renew, read `owned` and register what is missing.
   */
  register(instance: Instance, signal: AbortSignal): Promise<Registered>;
  /** Removes one record. An absent one is fine; another owner's is left alone (NOT_OWNER). */
  deregister(ref: InstanceRef, signal: AbortSignal): Promise<void>;
  /** Every record of this owner that the backend holds, read now, in no order. */
  owned(signal: AbortSignal): Promise<readonly Instance[]>;
  /** Gives the lease up; what hangs on it goes with it. */
  release(signal: AbortSignal): Promise<void>;
}

/** What else a lease may do. */
export interface LeaseOptions {
  /**
   * Which records without an owner count as this owner's own, by their id: what another registrator left.
   * `owned` lists them, without an owner, so that they equal no wish; `register` over one makes it ours;
   * `deregister` removes it; `release` leaves it. Without this every record without an owner is NOT_OWNER.
   */
  readonly adopt?: (id: string) => boolean;
  /** Whether a registry that checks instances may be given scripts to run. Without it they are left out. */
  readonly allowCheckScripts?: boolean;
}

/** A registry store. It never logs and never exits; it reports through values and coded errors. */
export interface Backend {
  /** The URL without secrets, for messages. */
  readonly title: string;
  readonly capabilities: {
    /** How records of a dead host go: words for messages and for skips of the contract suite. */
    readonly expiry: "lease" | "session" | "check" | "heartbeat" | "none";
    /** True when the registry itself checks instances, as `checks` says. The others get none. */
    readonly checks: boolean;
  };
  /** Starts to watch; the snapshot is unknown until the backend has answered. Reconnects for ever. */
  observe(interest: Interest): Observation;
  /**
   * Prepares the lease of one host; asks the backend nothing before the first `renew`. `ttl` in seconds.
   *
   * With a `ttl` of 0 nothing tells whether the host lives. No heartbeat is owed, and `renew` answers a `ttl`
   * of 0: it claims, and is to be called again only after a failure or a loss. The claim of the node and the
   * records stay whatever becomes of this process, until this owner's next run takes them over or `release`
   * removes them. Another engine is refused with NODE_TAKEN, whatever its own
   * `ttl`, until somebody removes the claim: the error says how. A run is SUPERSEDED only by one that beats, so
   * two silent runs of one owner may both write. Going from one kind to the other is a renewal that is
   * `fresh`, after which the records that hang on the earlier kind of lease are moved, or differ in `owned`
   * from what they should be.
   */
  lease(owner: Owner, ttl: number, options?: LeaseOptions): Lease;
  /**
   * Closes connections and ends observations. Revokes nothing: leases run out by themselves, so that the
   * next process can take them over (call `release` before to give one up).
   */
  close(): Promise<void>;
}

/** What a backend is made from, besides its URL. */
export interface BackendOptions {
  /** The process environment, for the variables that the backend's usual clients read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The layout of backends that have it, where their URL says none; usually `portolan`. */
  readonly layout?: string;
}
