import { PortolanError } from "./errors.ts";
import { compare, type Instance, type InstanceRef } from "./instance.ts";

/** What a templater has applied of one service. Ids are in order. */
export interface Seen {
  /** The instances that any of its files was made from. */
  readonly ids: readonly string[];
  /** Those among them that no file offers: they were not ready, or were left out. */
  readonly notReady: readonly string[];
  /** Those among `notReady` that drained when each of the files was made. */
  readonly draining: readonly string[];
  /** Those that one file offers and another one does not. */
  readonly partly: readonly string[];
}

/**
 * What a templater tells of itself under `templaters/<name>`, so that others can wait until all load balancers know
 * that an instance goes or has come.
 */
export interface Acknowledgement {
  /** Where it runs, for people. */
  readonly node: string;
  /** When this was first so: RFC 3339 in UTC, for people. */
  readonly at: string;
  /** What its files were made from, in order; "all" also while that is not known. */
  readonly services: readonly string[] | "all";
  /** By service, in order. One that it reads and that is not here has not been applied, as far as is known. */
  readonly applied: ReadonlyMap<string, Seen>;
  /** True: a service that is not in `applied` had no instances. */
  readonly complete: boolean;
}

/** What a template reads. */
export interface ReadServices {
  readonly services: ReadonlySet<string>;
  /** True when it reads the list of services too. */
  readonly all: boolean;
}

/** What the proxy of one target runs with. */
export interface TargetWorld {
  /** What its template reads, which counts as long as nothing is accepted; undefined while that is not known. */
  readonly reads: ReadServices | undefined;
  /** What its file was made from that the proxy has accepted last; undefined while that is not known. */
  readonly accepted: AcceptedWorld | undefined;
}

/** What an accepted file was made from. */
export interface AcceptedWorld {
  /** By service; one that is not here had no instances. */
  readonly instances: ReadonlyMap<string, readonly Instance[]>;
  readonly reads: ReadServices;
  /** Whether an instance was left out of the file though it is ready. */
  isLeftOut(ref: InstanceRef): boolean;
}

/** How many ids a note holds at most, so that it fits any store and is cheap to write: about 100 KB. */
const mostIds = 2_000;

/**
 * What all targets of a templater have applied, taken together: of a service only what every target that reads it
 * has accepted. Where there are more than 2,000 ids, only the services with the highest `rank` are told (the one
 * that is highest always), because whoever waits does so for one that has just changed.
 */
export function acknowledged(
  node: string,
  at: string,
  targets: readonly TargetWorld[],
  rank: (service: string) => number = () => 0,
): Acknowledgement {
  const isAll = targets.some((target) => readsOf(target)?.all ?? true);
  const named = new Set(targets.flatMap((target) => [...(readsOf(target)?.services ?? [])]));
  const seen = new Map<string, Seen>();
  for (const name of isAll ? namesIn(targets, named) : named) {
    const readers = targets.filter((target) => readsIn(readsOf(target), name));
    const worlds = readers.flatMap(({ accepted }) => accepted ?? []);
    if (worlds.length === readers.length) seen.set(name, seenBy(name, worlds));
  }
  const isKnown = targets.every(({ accepted }) => accepted !== undefined);
  const kept = bounded(seen, rank);
  return {
    node,
    at,
    services: isAll ? "all" : [...named].sort(compare),
    applied: new Map([...kept].sort(([a], [b]) => compare(a, b))),
    complete: isAll && isKnown && kept.size === seen.size,
  };
}

function namesIn(targets: readonly TargetWorld[], named: ReadonlySet<string>): ReadonlySet<string> {
  const names = new Set(named);
  for (const { accepted } of targets) {
    if (!accepted?.reads.all) continue;
    for (const name of accepted.instances.keys()) names.add(name);
  }
  return names;
}

/** A template that reads more than its file has not been applied yet: no proxy knows of it. */
const readsOf = ({ reads, accepted }: TargetWorld) => accepted?.reads ?? reads;

/** What is not known yet may be read. */
const readsIn = (reads: ReadServices | undefined, service: string) =>
  reads === undefined || reads.all || reads.services.has(service);

function seenBy(service: string, worlds: readonly AcceptedWorld[]): Seen {
  const files = worlds.map(({ instances, isLeftOut }) => {
    const list = instances.get(service) ?? [];
    const offered = list.filter((one) => one.state === "ready" && !isLeftOut(one));
    const draining = list.filter(({ state }) => state === "draining");
    return { all: idsOf(list), offered: idsOf(offered), draining: idsOf(draining) };
  });
  const ids = [...new Set(files.flatMap(({ all }) => [...all]))].sort(compare);
  const isOffered = (id: string) => files.some(({ offered }) => offered.has(id));
  return {
    ids,
    notReady: ids.filter((id) => !isOffered(id)),
    draining: ids.filter((id) => files.every(({ draining }) => draining.has(id))),
    partly: ids.filter((id) => isOffered(id) && !files.every(({ offered }) => offered.has(id))),
  };
}

const idsOf = (list: readonly Instance[]): ReadonlySet<string> => new Set(list.map(({ id }) => id));

function bounded(
  seen: ReadonlyMap<string, Seen>,
  rank: (service: string) => number,
): ReadonlyMap<string, Seen> {
  const count = [...seen.values()].reduce((sum, { ids }) => sum + ids.length, 0);
  if (count <= mostIds) return seen;
  const latest = [...seen].sort(([a], [b]) => rank(b) - rank(a) || compare(a, b));
  let left = mostIds;
  return new Map(
    latest.filter(([, { ids }], at) => {
      left -= ids.length;
      return at === 0 || left >= 0;
    }),
  );
}

/** Whether the templater's files may hold instances of the service. */
export function readsService({ services }: Pick<Acknowledgement, "services">, service: string): boolean {
  return services === "all" || services.includes(service);
}

/**
 * True when no file of the templater offers the instance, its proxies have taken that, and none in hand will offer it.
 * `isThere`: its record still is. Then it has to drain in every file: one that does not have it, or has it in another
 * state, may be made from an older world than that in which it was ready.
 */
export function isOut(note: Acknowledgement, { service, id }: InstanceRef, isThere: boolean): boolean {
  if (!readsService(note, service)) return true;
  const seen = note.applied.get(service);
  if (isThere) return seen?.draining.includes(id) ?? false;
  return seen ? !seen.ids.includes(id) || seen.notReady.includes(id) : note.complete;
}

/** True when every file of the templater that reads its service offers the instance, and its proxies have taken that. */
export function isIn(note: Acknowledgement, { service, id }: InstanceRef): boolean {
  if (!readsService(note, service)) return true;
  const seen = note.applied.get(service);
  if (!seen?.ids.includes(id)) return false;
  return !seen.notReady.includes(id) && !seen.partly.includes(id);
}

/**
 * The text of the note: JSON, keys in a fixed order, the last two lists and `complete` only where they say something:
 * `{"node","at","services":["web"],"applied":{"web":{"ids","notReady","draining","partly"}},"complete"}`.
 */
export function encodeAcknowledgement({ node, at, services, applied, complete }: Acknowledgement): string {
  const records = [...applied].map(([service, { ids, notReady, draining, partly }]) => [
    service,
    { ids, notReady, ...(draining.length > 0 && { draining }), ...(partly.length > 0 && { partly }) },
  ]);
  return JSON.stringify({
    node,
    at,
    services,
    applied: Object.fromEntries(records),
    ...(complete && { complete }),
  });
}

/**
 * Reads a note. `place` says where it is, for the error. Unknown keys are ignored, so that an older reader survives
 * a newer writer. Throws RECORD when a field is missing or of the wrong type.
 */
export function decodeAcknowledgement(text: string, place: string): Acknowledgement {
  const bad = (what: string, cause?: unknown) => new PortolanError("RECORD", `${place}: ${what}`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad("not JSON", cause);
  }
  if (!isObject(value)) throw bad("not a JSON object");
  const { node, at, services, applied, complete } = value;
  const textsIn = (list: unknown, key: string): readonly string[] => {
    if (Array.isArray(list) && list.every((one) => typeof one === "string")) return list;
    throw bad(`"${key}" is not an array of strings`);
  };
  if (typeof node !== "string" || node === "") throw bad('"node" is not a non-empty string');
  if (typeof at !== "string") throw bad('"at" is not a string');
  if (!isObject(applied)) throw bad('"applied" is not a JSON object');
  const seen = Object.entries(applied).map(([service, one]): readonly [string, Seen] => {
    if (!isObject(one)) throw bad(`"applied" of ${service} is not a JSON object`);
    return [
      service,
      {
        ids: textsIn(one.ids, "ids"),
        notReady: textsIn(one.notReady, "notReady"),
        draining: textsIn(one.draining ?? [], "draining"),
        partly: textsIn(one.partly ?? [], "partly"),
      },
    ];
  });
  return {
    node,
    at,
    services: services === "all" ? "all" : textsIn(services, "services"),
    applied: new Map(seen),
    complete: complete === true,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
