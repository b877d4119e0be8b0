import { compare, type Instance } from "../instance.ts";
import { type Interest, instancesOf, type Snapshot } from "./backend.ts";
import { readRecord } from "./layouts/portolan.ts";

/**
 * The records of a tree-shaped store as last read: key to text. Builds snapshots that share whatever did
 * not change, and sets unreadable records aside so that they never hide their siblings.
 */
export interface Records {
  /** Sets the text under a key. The same text as before changes nothing. */
  put(key: string, text: string): void;
  delete(key: string): void;
  /** Makes `entries` all there is. */
  replace(entries: Iterable<readonly [key: string, text: string]>): void;
  keys(): IterableIterator<string>;
  get(key: string): Instance | undefined;
  /** The snapshot of all visible records. Shares with `previous` whatever is equal; is `previous` when all is. */
  snapshot(previous: Snapshot, visible?: (instance: Instance) => boolean): Snapshot;
}

/** The snapshot to begin with: nothing is known. */
export const emptySnapshot: Snapshot = { services: new Map(), complete: false, invalid: new Map() };

/** Characters of a reason: it may quote a record, of which nobody knows how long it is. */
const longest = 500;

const shortened = (reason: string) =>
  reason.length > longest ? `${reason.slice(0, longest)}… (${reason.length} characters)` : reason;

/** An empty set of records. `read` makes the instance of a key and its text, and throws where there is none. */
export function createRecords(read: (key: string, text: string) => Instance = readRecord): Records {
  const held = new Map<string, { text: string; instance?: Instance; error?: string }>();

  const put = (key: string, text: string) => {
    if (held.get(key)?.text === text) return;
    try {
      held.set(key, { text, instance: read(key, text) });
    } catch (error) {
      held.set(key, { text, error: shortened(error instanceof Error ? error.message : String(error)) });
    }
  };

  return {
    put,
    delete: (key) => void held.delete(key),
    replace(entries) {
      const seen = new Set<string>();
      for (const [key, text] of entries) {
        seen.add(key);
        put(key, text);
      }
      for (const key of held.keys()) if (!seen.has(key)) held.delete(key);
    },
    keys: () => held.keys(),
    get: (key) => held.get(key)?.instance,
    snapshot(previous, visible = () => true) {
      const byService = new Map<string, Instance[]>();
      const invalid = new Map<string, string>();
      for (const [key, { instance, error }] of held) {
        if (error !== undefined) invalid.set(key, error);
        if (!instance || !visible(instance)) continue;
        const list = byService.get(instance.service);
        if (list) list.push(instance);
        else byService.set(instance.service, [instance]);
      }
      return shareSnapshot(previous, { services: inOrder(byService), complete: true, invalid });
    },
  };
}

/** What a reader with this interest sees: a service that it did not ask for is unknown, and not empty. */
export function only(snapshot: Snapshot, interest: Interest): Snapshot {
  if (interest.services === "all") return snapshot;
  const services = [...interest.services].flatMap((name) => {
    const instances = instancesOf(snapshot, name);
    return instances ? [[name, instances] as const] : [];
  });
  return { ...snapshot, services: inOrder(services), complete: false };
}

/** The same services with names and ids in order. */
export function inOrder(
  services: Iterable<readonly [string, readonly Instance[]]>,
): Map<string, readonly Instance[]> {
  const sorted = [...services].sort(([a], [b]) => compare(a, b));
  return new Map(sorted.map(([name, list]) => [name, [...list].sort((a, b) => compare(a.id, b.id))]));
}

/** `next`, with every list and map that holds the same instances replaced by the one of `previous`. */
export function shareSnapshot(previous: Snapshot, next: Snapshot): Snapshot {
  let same = previous.services.size === next.services.size && previous.complete === next.complete;
  const services = new Map<string, readonly Instance[]>();
  for (const [name, list] of next.services) {
    const before = previous.services.get(name);
    const unchanged = before?.length === list.length && list.every((instance, at) => instance === before[at]);
    if (!unchanged) same = false;
    services.set(name, unchanged && before ? before : list);
  }
  const sameInvalid =
    previous.invalid.size === next.invalid.size &&
    [...next.invalid].every(([key, reason]) => previous.invalid.get(key) === reason);
  if (same && sameInvalid) return previous;
  return {
    services: same ? previous.services : services,
    complete: next.complete,
    invalid: sameInvalid ? previous.invalid : next.invalid,
  };
}
