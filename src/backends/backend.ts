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
  /** Gives the lease up; what hangs on it goes with it. What somebody else has taken over stays. */
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
  /**
   * The owner whose heir this one is: the same host's Docker under the id that it had before, as
   * `ownerText` writes it, with the same node. The first `renew` that succeeds takes the node over from it, whether
   * it lives or not, and the records with it, which stand without a gap all the time; from then on they are this
   * owner's in every way. Until they are registered again some backends list them with the earlier owner, so
   * that they equal no wish. The lease of the earlier owner is to be released afterwards: that
   * removes nothing of what the heir has taken. Counts until the node is held, and never again.
   */
  readonly inherits?: string;
  /** Whether a registry that checks instances may be given scripts to run. Without it they are left out. */
  readonly allowCheckScripts?: boolean;
}

/**
 * Keys and values beside the records: what people put into the store for templates to read. A key is a path of
 * segments with slashes between them; what etcd, ZooKeeper, Consul and a folder make of it, the page of each says.
 *
 * Absent is `undefined` or an empty map. Whatever is not known rejects, with BACKEND_UNREACHABLE,
 * BACKEND_DENIED, or ABORTED once `signal` is aborted; so nothing that is away or refused looks empty.
 */
export interface Kv {
  /** The value of a key, read now; undefined where there is none. */
  get(key: string, signal: AbortSignal): Promise<string | undefined>;
  /** The values directly below a path by the last segment of their keys, in order. */
  list(path: string, signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
  /** All values below a path by what their keys have after it, in order: `b/c` of `a/b/c` below `a`. */
  tree(path: string, signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
  /** Starts to watch. Reconnects for ever. */
  watch(wants: KeyWants): KeyObservation;
  /** Creates or replaces a value. */
  put(key: string, value: string, signal: AbortSignal): Promise<void>;
  /** Removes a value; an absent one is fine. */
  remove(key: string, signal: AbortSignal): Promise<void>;
}

/** The keys, and the paths with all that is below them, that a reader wants to be told about. */
export interface KeyWants {
  readonly keys: ReadonlySet<string>;
  readonly trees: ReadonlySet<string>;
}

/**
 * The values that were asked for and answered. What is not in a map is unknown, as long as nothing else is known
 * of it. Immutable; unchanged trees are the same objects as in the snapshot before.
 */
export interface KeySnapshot {
  /** By key; undefined where it is known that there is no value. */
  readonly keys: ReadonlyMap<string, string | undefined>;
  /** By path, each as `Kv.tree` answers. */
  readonly trees: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** A running observation of values. It is never older than before; in an outage what is known stays. */
export interface KeyObservation extends Source<KeySnapshot> {
  /** Replaces what is wanted. What was known of what stays wanted stays known. */
  want(wants: KeyWants): void;
}

/** How a lock stands. */
export type Tenure =
  | {
      readonly held: true;
      /**
       * A decimal number, the same as long as the lock is held without a gap, and greater for each holder after.
       * Whoever guards something with the lock refuses what comes with a smaller one.
       */
      readonly token: string;
      /**
       * The token of the holding under the contender's own name that this call took over; absent in all other
       * answers.
       */
      readonly follows?: string;
      /** Seconds, from the begin of the call on, in which nobody else gets the lock. */
      readonly ttl: number;
    }
  | {
      readonly held: false;
      /** Who holds it. */
      readonly holder: string;
    };

/**
 * One contender for a lock of the whole registry, of which one at a time holds it. Its methods reject like those
 * of a lease. A holder that does not renew in time has lost the lock, whether it knows or not: only the
 * token protects what it does then.
 */
export interface Lock {
  /**
   * Beats once where the lock is held, else takes it where it is free. Never waits for its turn. The first call of all
   * that is answered also takes a lock that stands under the contender's own name, with a new token: who held it
   * was the process before this one, which is gone or is told so by its next call. No later call does, or two processes
   * of one name would take it from each other for ever.
   */
  renew(signal: AbortSignal): Promise<Tenure>;
  /** Who holds it, undefined for nobody: a contender renews when that changes. */
  watch(): Source<string | undefined>;
  /** Gives it up where it is held; the next contender need not wait. */
  release(signal: AbortSignal): Promise<void>;
}

/** What the notes of a registry are about: `overrides/<name>` and so on, beside the records. */
export type NoteArea = "overrides" | "templaters" | "heal";

/**
 * Short texts that the processes of one registry leave for each other, by name, under the registry's own root. Any
 * text that is not empty is a name. Methods reject like those of `Kv`.
 */
export interface Notes {
  /** All of the area by name, in order, read now. */
  list(signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
  /** Starts to watch all of the area. Reconnects for ever; in an outage what is known stays. */
  watch(): Source<ReadonlyMap<string, string>>;
  /**
   * Creates or replaces a note, which stays until somebody removes it. Not for one that somebody holds: whether that
   * goes with its holder afterwards depends on the store, and the holder's next beat takes it back.
   */
  put(name: string, text: string, signal: AbortSignal): Promise<void>;
  /** Removes a note; an absent one is fine. */
  remove(name: string, signal: AbortSignal): Promise<void>;
  /**
   * Puts `after` in the place of a note that is `before`, where undefined is no note, so that nobody overwrites what
   * he has not seen. False, and nothing is changed, where another text stands there.
   */
  exchange(
    name: string,
    before: string | undefined,
    after: string | undefined,
    signal: AbortSignal,
  ): Promise<boolean>;
  /** Prepares a note that goes when this process beats no more. `ttl` in seconds, above 0; asks nothing yet. */
  hold(name: string, ttl: number): HeldNote;
}

/** A note under a lease of its own. */
export interface HeldNote {
  /** Beats, and creates or replaces the note where it is not there with this text. */
  renew(text: string, signal: AbortSignal): Promise<Renewal>;
  /** Removes it. */
  release(signal: AbortSignal): Promise<void>;
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
   * Which of these nodes somebody claims by a claim that lives, asked now: their owners have written what is
   * there, and removed what is not. Absent where nothing expires. Rejects like the methods of a lease.
   */
  living?(nodes: ReadonlySet<string>, signal: AbortSignal): Promise<ReadonlySet<string>>;
  /**
   * What an owner lists as its own, asked now and without any lease: records of which the layout's own texts do
   * not say whose they are. Some may not stand there any more, or not yet. Absent where records name their
   * owner. Rejects like the methods of a lease.
   */
  listed?(owner: Owner, signal: AbortSignal): Promise<readonly Instance[]>;
  /** Keys and values. Absent: this backend has none. */
  readonly kv?: Kv;
  /**
   * Prepares to contend for a lock; asks the backend nothing before the first `renew`. `contender` is unique
   * among those that want the lock, and what `Tenure.holder` shows. `ttl` in seconds, above 0. Absent: no locks.
   */
  lock?(name: string, contender: string, ttl: number): Lock;
  /** The notes of an area. Absent: this backend keeps none. */
  notes?(area: NoteArea): Notes;
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
  /** Nothing is made for who only looks: a folder that is missing is an outage then, and never an empty registry. */
  readonly onlyLooks?: true;
}
