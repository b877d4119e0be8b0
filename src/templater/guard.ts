import type { Snapshot } from "../backends/backend.ts";
import { compare, type Instance } from "../instance.ts";
import type { Observed } from "../source.ts";
import type { GuardSettings } from "./guard-settings.ts";
import { withOneMaster, withoutRole } from "./masters.ts";

/** A service that is shown with instances that the backend no longer shows as ready. */
export interface Held {
  readonly service: string;
  readonly ids: readonly string[];
  /** Half a sentence. */
  readonly why: string;
}

/** The world as a target takes it. */
export interface Guarded {
  /** Undefined while nothing is known. The same object, and the same lists in it, where nothing has changed. */
  readonly snapshot: Snapshot | undefined;
  readonly held: readonly Held[];
  /** What stands against a render: services that have too little, and had no more before. */
  readonly unmet: readonly string[];
  /** When a hold ends, in ms on the monotonic clock. */
  readonly until: number | undefined;
  /** Whether something in it is what the process before has left, because the backend does not answer. */
  readonly isLeft: boolean;
  /** Nodes of held instances: while one is claimed, its owner lives and has a say in what is missing. */
  readonly ask: ReadonlySet<string>;
}

/** Keeps files from shrinking when it is not sure that somebody wants that. */
export interface Guard {
  /** The observation has changed. To be called for every change, or a broken connection would be missed. */
  see(observed: Observed<Snapshot>, now: number): void;
  /** The answer to what the guard asked for: which of these nodes are claimed by somebody who lives. */
  living(asked: ReadonlySet<string>, nodes: ReadonlySet<string>, now: number): void;
  /** The world for a render of a template that reads `services` by name. */
  show(services: ReadonlySet<string>, now: number): Guarded;
}

type List = readonly Instance[];

/** A ready instance that went, and nobody is known to have taken it out. */
interface Loss {
  /** As it was shown last. */
  readonly instance: Instance;
  /** ms on the monotonic clock. */
  readonly since: number;
  /** Seen in the first answer after a connect: what is registered again comes later. */
  readonly fresh: boolean;
  /** Its owner did not live when it was asked for. */
  wasDead: boolean;
  /** ms. */
  hold: number;
  /** When it was last asked whether its owner lives; ms on the monotonic clock. */
  askedAt: number;
}

interface Entry {
  /** What the backend says; undefined while that is not known. */
  current: List | undefined;
  /** What was shown last: where nothing was, what the backend said at first. */
  shown: List;
  /** What is shown is what the process before has left: this one has not known the service yet. */
  isLeft: boolean;
  readonly losses: Map<string, Loss>;
}

/** ms in which an owner who lives has registered everything again that a store has lost. */
const returning = 5_000;

/** ms until the owner of something that is held is asked for again: it may have come back. */
export const askEvery = 2_000;

const never = Number.NEGATIVE_INFINITY;

const none: List = [];
const nothing: Snapshot = { services: new Map(), complete: false, invalid: new Map() };

/**
 * A guard that begins with `lastGood`, what was shown by the process before.
 *
 * An instance that is drained, or that is removed by an owner who lives, goes at once. A drop is held only when
 * it is unexplained (it shows in the first answer after a connect, or an owner's own record went with it) and
 * to zero or beyond `maxDrop`. After a connect an owner who lives gets a little time only: nobody knows whether it
 * has removed what is missing, or not yet registered it again. Held instances are shown beside those that are there.
 */
export function createGuard(settings: GuardSettings, lastGood: Snapshot | undefined): Guard {
  const { hold, maxDrop, min, requireNonEmpty, oneMaster } = settings;
  const entries = new Map<string, Entry>();
  /** Services whose list is more than what the backend says. */
  const busy = new Set<string>();
  /** Entries that were updated since they were last shown. */
  const touched = new Map<string, Entry>();
  let current: Snapshot | undefined;
  let shown: Snapshot | undefined = lastGood;
  /** The next answer is the first after a connect. */
  let fresh = true;
  let connected = false;
  let denied = false;
  /** The backend does not answer, or not all. */
  let isAway = false;
  /** This process has known something by itself. */
  let hasKnown = false;

  const entryOf = (name: string): Entry => {
    const before = entries.get(name);
    if (before) return before;
    const entry: Entry = { current: undefined, shown: none, isLeft: false, losses: new Map() };
    entries.set(name, entry);
    return entry;
  };
  for (const [name, list] of lastGood?.services ?? [])
    Object.assign(entryOf(name), { shown: list, isLeft: true } satisfies Partial<Entry>);

  const update = (name: string, entry: Entry, list: List | undefined, isFresh: boolean, now: number) => {
    const unknownBefore = entry.current === undefined;
    entry.current = list;
    entry.isLeft = false;
    touched.set(name, entry);
    hasKnown ||= list !== undefined;
    if (list === undefined) {
      // Nobody reads it any more.
      entry.shown = none;
      entry.losses.clear();
      return;
    }
    if (list.some(({ role, claim }) => role === "master" && claim !== undefined)) busy.add(name);
    if (hold === 0) return;
    const there = new Map(list.map((instance) => [instance.id, instance]));
    const isGone = (id: string) => (there.get(id)?.state ?? "unhealthy") === "unhealthy";
    for (const id of entry.losses.keys()) if (!isGone(id)) entry.losses.delete(id);
    for (const instance of entry.shown) {
      const { id, state, owner } = instance;
      if (state !== "ready" || !isGone(id) || entry.losses.has(id)) continue;
      const first = isFresh || unknownBefore;
      // Of what has no owner nobody knows whether one lives.
      if (!first && owner === undefined) continue;
      entry.losses.set(id, { instance, since: now, fresh: first, hold, wasDead: false, askedAt: never });
    }
    if (entry.losses.size > 0) busy.add(name);
  };

  /** How many ready instances a service keeps. */
  const least = (name: string, services: ReadonlySet<string>): number => {
    const nonEmpty = requireNonEmpty === true ? services.has(name) : requireNonEmpty.includes(name);
    return Math.max(Object.hasOwn(min, name) ? (min[name] ?? 0) : 0, nonEmpty ? 1 : 0);
  };

  /** The losses that count, and those of them that are held, each with its end. */
  const unexplained = (entry: Entry, ready: number, now: number) => {
    if (connected)
      for (const [id, loss] of entry.losses) if (now - loss.since >= loss.hold) entry.losses.delete(id);
    const lost = [...entry.losses.values()];
    const isDrop = lost.length > 0 && (ready === 0 || lost.length / (ready + lost.length) > maxDrop);
    // What went before and was believed comes back only when it is known that its owner is dead too.
    const standing = readyIn(entry.shown);
    const held = lost
      .map((loss) => [loss, loss.since + (isDrop ? loss.hold : Math.min(hold, returning))] as const)
      .filter(([loss, end]) =>
        isDrop
          ? loss.wasDead || standing.has(loss.instance.id)
          : // What may only not be back yet.
            loss.fresh && (now < end || !connected),
      );
    return { lost: isDrop ? lost : held.map(([loss]) => loss), held };
  };

  return {
    see(observed, now) {
      const problem = observed.problem?.kind;
      isAway = problem !== undefined;
      if (!observed.known) return;
      // Where a part is denied, the rest may live.
      connected = problem !== "unreachable";
      const isFresh = fresh || !connected || (denied && problem === undefined);
      fresh = !connected;
      denied = problem === "denied";
      current = observed.value;
      const { services, complete } = current;
      for (const [name, list] of services) {
        const entry = entryOf(name);
        if (entry.current !== list) update(name, entry, list, isFresh, now);
      }
      for (const [name, entry] of entries) {
        const list = complete ? none : undefined;
        if (!services.has(name) && !(entry.current === list || (list && entry.current?.length === 0)))
          update(name, entry, list, isFresh, now);
      }
      if (!isFresh) return;
      // What is still missing after a connect has the time that it takes to be registered again.
      for (const { losses } of entries.values())
        for (const [id, loss] of losses)
          losses.set(id, { ...loss, since: now, fresh: true, hold, wasDead: false, askedAt: never });
    },

    living(asked, nodes, now) {
      for (const { losses } of entries.values())
        for (const [id, loss] of losses) {
          const { node } = loss.instance;
          if (loss.askedAt === never || !asked.has(node)) continue;
          if (!nodes.has(node)) loss.wasDead = true;
          else if (loss.fresh || loss.wasDead) loss.hold = Math.min(loss.hold, now - loss.since + returning);
          else losses.delete(id);
        }
    },

    show(services, now) {
      const left = isAway ? [...entries].filter(([, { isLeft }]) => isLeft) : [];
      const complete = isAway && !hasKnown && lastGood?.complete === true;
      const isLeft = left.length > 0 || complete;
      const base = current ?? (isLeft ? nothing : undefined);
      if (base === undefined)
        return { snapshot: undefined, held: [], unmet: [], until: undefined, isLeft, ask: new Set() };
      const held: Held[] = [];
      const unmet: string[] = [];
      const nodes = new Set<string>();
      const changed = new Map(left.map(([name, entry]) => [name, entry.shown]));
      let until: number | undefined;

      const decide = (name: string, entry: Entry, said: List): List => {
        const ready = readyIn(said);
        const { lost, held: withEnd } = unexplained(entry, ready.size, now);
        if (connected)
          for (const [, end] of withEnd) until = Math.min(until ?? Number.POSITIVE_INFINITY, end);
        for (const loss of lost) {
          if (now - loss.askedAt < askEvery) continue;
          loss.askedAt = now;
          nodes.add(loss.instance.node);
        }
        const need = least(name, services);
        const kept = new Map(withEnd.map(([{ instance }]) => [instance.id, instance]));
        if (ready.size + kept.size < need) {
          for (const instance of entry.shown)
            if (instance.state === "ready" && !ready.has(instance.id)) kept.set(instance.id, instance);
        }
        const incumbent = entry.shown.find(({ role }) => role === "master")?.id;
        const list = withOneMaster(merged(said, kept), incumbent);
        const why =
          lost.length > 0
            ? `${lost.length} of ${ready.size + lost.length} ready instances went, and no owner says so`
            : `only ${ready.size} ready, and at least ${need} have to stay`;
        const masters = mastersIn(list);
        if (oneMaster.includes(name) && masters !== 1) {
          const two = `${masters === 0 ? "no" : masters} ready instances are master, and one has to be`;
          if (mastersIn(entry.shown) !== 1) unmet.push(`${name}: ${two}`);
          else {
            held.push({ service: name, ids: entry.shown.map(({ id }) => id), why: two });
            return entry.shown;
          }
        }
        if (ready.size + kept.size < need) unmet.push(`${name}: ${why}`);
        if (kept.size > 0) held.push({ service: name, ids: [...kept.keys()].sort(compare), why });
        return list;
      };

      const names = new Set([...busy, ...Object.keys(min), ...oneMaster]);
      for (const name of requireNonEmpty === true ? services : requireNonEmpty) names.add(name);
      for (const name of names) {
        const entry = entryOf(name);
        const said = entry.current ?? (base.complete ? none : undefined);
        // What is unknown is waited for.
        if (said === undefined) continue;
        const list = decide(name, entry, said);
        entry.shown = same(list, entry.shown) ? entry.shown : same(list, said) ? said : list;
        if (entry.shown !== said) changed.set(name, entry.shown);
        else if (entry.losses.size === 0 && !said.some(({ claim }) => claim !== undefined)) busy.delete(name);
      }
      for (const [name, entry] of touched) if (!names.has(name) && entry.current) entry.shown = entry.current;
      touched.clear();
      shown = assembled({ ...base, complete: base.complete || complete }, changed, base, shown);
      return { snapshot: shown, held, unmet, until, isLeft, ask: nodes };
    },
  };
}

function readyIn(list: List): ReadonlySet<string> {
  return new Set(list.filter(({ state }) => state === "ready").map(({ id }) => id));
}

function mastersIn(list: List): number {
  return list.filter(({ role, state }) => role === "master" && state === "ready").length;
}

/** The instances that are there, and those that are kept: in place of what the backend says of them, by id. */
function merged(list: List, kept: ReadonlyMap<string, Instance>): List {
  if (kept.size === 0) return list;
  const rest = list.filter(({ id }) => !kept.has(id));
  // Who is there knows better who the master is than who went.
  const isLed = rest.some(({ role, state }) => role === "master" && state === "ready");
  const back = [...kept.values()].map((one) => (isLed && one.role === "master" ? withoutRole(one) : one));
  return [...rest, ...back].sort((a, b) => compare(a.id, b.id));
}

function same(a: List, b: List): boolean {
  return a === b || (a.length === b.length && a.every((instance, at) => instance === b[at]));
}

/** The snapshot with other lists for some services; `current` or the one before when they say the same. */
function assembled(
  wanted: Snapshot,
  changed: ReadonlyMap<string, List>,
  current: Snapshot,
  before: Snapshot | undefined,
): Snapshot {
  if (changed.size === 0 && wanted.complete === current.complete) return current;
  const services = new Map(current.services);
  let isNew = false;
  for (const [name, list] of changed) {
    isNew ||= !services.has(name);
    services.set(name, list);
  }
  const next = {
    ...wanted,
    services: isNew ? new Map([...services].sort(([a], [b]) => compare(a, b))) : services,
  };
  const isSame =
    before?.complete === next.complete &&
    before.services.size === services.size &&
    [...services].every(([name, list]) => before.services.get(name) === list);
  return isSame && before ? before : next;
}
