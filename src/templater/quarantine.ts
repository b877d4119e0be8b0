import type { Snapshot } from "../backends/backend.ts";
import { backoff } from "../clock.ts";
import { compare, type Instance } from "../instance.ts";
import type { Found } from "./quarantine-search.ts";
import { sameList } from "./view.ts";

/** A service that is shown as it was, because the check refuses what it has become. */
export interface HeldBack {
  readonly service: string;
  /** The words of the check, in one line. */
  readonly why: string;
}

/** A world, and what in it is held back. */
export interface Shown {
  readonly snapshot: Snapshot | undefined;
  readonly heldBack: readonly HeldBack[];
}

/**
 * The services that a target, or a group, shows as they were in the last world that was accepted, so that all others can
 * go on. One is held back as long as its instances are those that the check has refused; it is tried again when they
 * change, when somebody asks for that, and now and then, because what a check needs beside the file may have come.
 */
export interface Quarantine {
  /** The world with what is held back. The same object for the same world, as long as the same is held back. */
  show(snapshot: Snapshot | undefined): Shown;
  /**
   * What was found out about services of the world `now`: those that do not pass are as they were in `before`. Gives
   * those that are at fault and of which that was not known.
   */
  hold(found: Found, now: Snapshot, before: Snapshot, at: number): readonly HeldBack[];
  /** Tries those again whose time has come; without a time, all of them. */
  tryAgain(at?: number): void;
  /** A world was installed in which this is held back: what else was is free. Gives the services of which `hold` has told. */
  settle(heldBack: readonly HeldBack[]): readonly string[];
  /** True when the service is held back, or tried again. */
  has(service: string): boolean;
  /** When something is to be tried again, in ms on the monotonic clock; undefined when nothing is held back. */
  due(): number | undefined;
  status(): readonly HeldBack[];
}

type List = readonly Instance[] | undefined;

interface Entry extends HeldBack {
  readonly refused: List;
  readonly before: List;
  /** False: it is only not known yet whether the check refuses it. */
  readonly isSure: boolean;
  readonly tries: number;
  readonly until: number;
  /** It is tried again. */
  isOpen: boolean;
}

/** ms until what was refused is tried again: at least, and the base and cap of what is added. */
const wait = { least: 30_000, base: 30_000, cap: 300_000 };

/** Nothing is held back at first. */
export function createQuarantine(): Quarantine {
  const entries = new Map<string, Entry>();
  /** What was shown last, as long as the entries are what they were. */
  let last: { readonly of: Snapshot; readonly shown: Shown } | undefined;

  const inOrder = () => [...entries.values()].sort((a, b) => compare(a.service, b.service));

  return {
    show(snapshot) {
      if (snapshot === undefined || entries.size === 0) return { snapshot, heldBack: [] };
      if (last?.of === snapshot) return last.shown;
      const held = inOrder().filter(
        ({ service, refused, isOpen }) => !isOpen && sameList(snapshot.services.get(service), refused),
      );
      const lists = new Map(held.map(({ service, before }) => [service, before]));
      const heldBack = held.map(({ service, why }) => ({ service, why }));
      const shown = { snapshot: held.length > 0 ? withLists(snapshot, lists) : snapshot, heldBack };
      last = { of: snapshot, shown };
      return shown;
    },
    hold({ refused, undecided }, now, before, at) {
      const news: HeldBack[] = [];
      for (const [service, why] of [...refused, ...undecided]) {
        const list = now.services.get(service);
        const known = entries.get(service);
        const isSure = refused.has(service);
        const isKnown = known?.isSure === true && sameList(known.refused, list);
        const tries = isKnown ? known.tries + 1 : 0;
        const until = isSure ? at + wait.least + backoff(tries, wait.base, wait.cap) : at;
        const entry = { service, why, refused: list, before: before.services.get(service) };
        entries.set(service, { ...entry, isSure, tries, until, isOpen: false });
        if (isSure && !isKnown) news.push({ service, why });
      }
      last = undefined;
      return news;
    },
    tryAgain(at = Number.POSITIVE_INFINITY) {
      for (const entry of entries.values()) {
        if (entry.isOpen || entry.until > at) continue;
        entry.isOpen = true;
        last = undefined;
      }
    },
    settle(heldBack) {
      const held = new Set(heldBack.map(({ service }) => service));
      const free = inOrder().filter(({ service }) => !held.has(service));
      for (const { service } of free) entries.delete(service);
      if (free.length > 0) last = undefined;
      return free.flatMap(({ service, isSure }) => (isSure ? [service] : []));
    },
    has: (service) => entries.has(service),
    due: () =>
      entries.size === 0 ? undefined : Math.min(...[...entries.values()].map(({ until }) => until)),
    status: () => inOrder().map(({ service, why }) => ({ service, why })),
  };
}

/** Services that are named. */
const mostNames = 20;

/** What is held back, by its names; undefined when nothing is. */
export function namesOf(heldBack: readonly HeldBack[]): string | undefined {
  if (heldBack.length === 0) return undefined;
  const names = heldBack.slice(0, mostNames).map(({ service }) => service);
  if (heldBack.length > mostNames) names.push(`${heldBack.length - mostNames} more`);
  return `held back: ${names.join(", ")}`;
}

/** Why a file in which this is held back is not what it should be; undefined when nothing is. */
export function reasonOf(heldBack: readonly HeldBack[]): string | undefined {
  const [first] = heldBack;
  return first && `${namesOf(heldBack)}: ${first.why}`;
}

/** The world with other lists for some services; where one has none, as a world that never had the service. */
export function withLists(snapshot: Snapshot, lists: ReadonlyMap<string, List>): Snapshot {
  const services = new Map(snapshot.services);
  for (const [service, list] of lists) {
    if (list !== undefined) services.set(service, list);
    else if (snapshot.complete) services.delete(service);
    else services.set(service, none);
  }
  return { ...snapshot, services: new Map([...services].sort(([a], [b]) => compare(a, b))) };
}

const none: readonly Instance[] = [];
