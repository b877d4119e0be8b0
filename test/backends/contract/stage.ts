import type { it } from "vitest";
import {
  type Backend,
  instancesOf,
  type Lease,
  type LeaseOptions,
  type Observation,
  type Owner,
  ownerText,
  type Snapshot,
} from "../../../src/backends/backend.ts";
import type { Instance } from "../../../src/instance.ts";
import type { Source } from "../../../src/source.ts";

/** A place of its own in a real store, for one run of the suite. */
export interface World {
  /** Another connection to the same place. */
  open(): Promise<Backend>;
  /** A connection whose process can be made to vanish without a goodbye. Absent: nothing can die alone. */
  openMortal?(): Promise<{ readonly backend: Backend; die(): Promise<void> }>;
  /** Writes a record that names no owner, as another registrator would. */
  plant?(instance: Instance): Promise<void>;
  /** Removes the claim of a node, as an operator does whose host is gone for good. */
  unclaim?(node: string): Promise<void>;
  /**
   * Cuts all connections to the store that `open` made, and refuses new ones, until `heal`. Absent: nothing lies
   * between the two.
   */
  cut?(): Promise<void>;
  heal?(): Promise<void>;
  /** Removes all that the store holds here, as a disk does that is lost. */
  wipe?(): Promise<void>;
  /** A connection to where nobody answers. */
  openUnreachable?(): Promise<Backend>;
  /** A connection to where `key` holds a value, that may neither read nor write anything there. */
  openDenied?(key: string): Promise<Backend>;
  close(): Promise<void>;
}

/** The suite that every backend runs. `ttl` in seconds is the shortest that the real store grants. */
export interface Contract {
  readonly name: string;
  readonly ttl: number;
  start(): Promise<World>;
  /** What a reader sees of a ready instance, where the layout holds less than the record. */
  readonly shown?: (instance: Instance) => Instance;
  /** Behaviours that this backend cannot have, with the reason in words. */
  readonly skips?: Readonly<Partial<Record<Behaviour, string>>>;
}

/** Behaviours that may be skipped with a reason. */
export type Behaviour = "two connections" | "expiry" | "states";

/** What the parts of the suite share: the world of this run, and what they do with it over and over. */
export interface Stage {
  readonly world: World;
  /** A connection for tests that need no other one. */
  readonly backend: Backend;
  readonly ttl: number;
  shown(instance: Instance): Instance;
  /** `it`, or `it.skip` for a behaviour that this backend cannot have. */
  able(behaviour: Behaviour): typeof it | typeof it.skip;
  /** The reason of a skip, to be appended to a test's name. */
  because(behaviour: Behaviour): string;
  /** A lease that holds its node. */
  joined(owner: Owner, from?: Backend, options?: LeaseOptions): Promise<Lease>;
  /** An observation that knows what it was asked for. */
  reader(services: readonly string[] | "all", from?: Backend): Promise<Observation>;
}

/** Of the calls of a test: never aborted. */
export const signal: AbortSignal = new AbortController().signal;
let counter = 0;

/** An owner no other test uses. */
export function someOwner(over: Partial<Owner> = {}): Owner {
  counter += 1;
  return { node: `h${process.pid}-${counter}`, engine: `T5AP:${counter}`, run: `run${counter}`, ...over };
}

/** A complete instance of `owner`. */
export function someInstance(owner: Owner, over: Partial<Instance> = {}): Instance {
  const service = over.service ?? "web";
  return {
    id: `${owner.node}:${service}-1:80`,
    service,
    address: "10.0.0.5",
    port: 32768,
    protocol: "tcp",
    tags: ["blue", "v1.2"],
    meta: { http_host: "web.test", version: "1.2" },
    weight: 1,
    state: "ready",
    node: owner.node,
    container: { id: "9f86d081884c7d65", name: `${service}-1`, image: `${service}:1.2` },
    owner: ownerText(owner),
    ...over,
  };
}

/** Resolves with the value once `accept` holds for it. Rejects after `within` ms, showing the last value. */
export function eventually<T>(source: Source<T>, accept: (value: T) => boolean, within = 10_000): Promise<T> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const now = source.current();
      if (!now.known || !accept(now.value)) return;
      stop();
      resolve(now.value);
    };
    const timer = setTimeout(() => {
      stop();
      const now = source.current();
      reject(new Error(`not seen within ${within} ms; last: ${describeObserved(now)}`));
    }, within);
    const unsubscribe = source.subscribe(look);
    const stop = () => {
      clearTimeout(timer);
      unsubscribe();
    };
    look();
  });
}

function describeObserved(now: unknown): string {
  return JSON.stringify(now, (_key, value) =>
    value instanceof Map ? Object.fromEntries(value) : value instanceof Error ? value.message : value,
  );
}

/** The ids of a service's instances; undefined while they are unknown. */
export const ids = (snapshot: Snapshot, service: string): readonly string[] | undefined =>
  instancesOf(snapshot, service)?.map((instance) => instance.id);
