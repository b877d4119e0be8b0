import { deadline, monotonic, pause } from "../../clock.ts";
import { type Ballot, contend, type Verdict } from "./election.ts";
import type { Probe } from "./probe.ts";
import type { Promote } from "./promotion.ts";
import {
  afterProbe,
  awaitsConfirmation,
  equalStanding,
  type Finding,
  type Standing,
  type Thresholds,
  unprobed,
} from "./standing.ts";

/** One instance whose role is followed. */
export interface Followed {
  readonly id: string;
  /** Of everything that makes it another server, or another life of it: a new one begins as unknown. */
  readonly life: string;
  /** Finds out the role until `ended`. */
  begin(place: Place, ended: AbortSignal): void | Promise<void>;
}

/** Where the role of an instance is kept while it is followed. */
export interface Place {
  standing(): Standing;
  /** Replaces the standing. */
  put(next: Standing): void;
}

/** Times in ms. */
export interface Pace extends Thresholds {
  readonly interval: number;
  readonly timeout: number;
}

/** Ms between the probe that finds a new master and the one that confirms it. */
const confirmation = 100;

interface Watched {
  readonly life: string;
  readonly ended: AbortController;
  standing: Standing;
  /** It has told its role at least once. */
  answered: boolean;
  done: void | Promise<void>;
}

/** The roles of the instances of this host. */
export interface RoleWatch {
  /** Follows exactly these from now on. What was known of those that stay the same stays known. */
  follow(instances: readonly Followed[]): void;
  /** What was published before this process began counts until the first answer. */
  recall(id: string, finding: Finding): void;
  /** Undefined for what is not followed. */
  standing(id: string): Standing | undefined;
  /** Ends the following of all, and waits for what they give up. */
  close(): Promise<void>;
}

/** Follows each on its own, so that one that hangs delays nobody. `changed` is told of each new standing. */
export function watchRoles(changed: () => void): RoleWatch {
  const watched = new Map<string, Watched>();
  /** Those that end: what they promote or hold is over before the next life of the same instance begins. */
  const leaving = new Map<string, Promise<void>>();

  const begin = (followed: Followed) => {
    const { id, life } = followed;
    const one: Watched = {
      life,
      standing: unprobed,
      answered: false,
      ended: new AbortController(),
      done: undefined,
    };
    watched.set(id, one);
    const place: Place = {
      standing: () => one.standing,
      put(next) {
        if (one.ended.signal.aborted) return;
        const before = one.standing;
        one.standing = next;
        one.answered ||= next.problem === undefined;
        if (!equalStanding(before, next)) changed();
      },
    };
    const start = () => (one.ended.signal.aborted ? undefined : followed.begin(place, one.ended.signal));
    const before = leaving.get(id);
    one.done = before ? before.then(start) : start();
  };
  const end = (id: string) => {
    const one = watched.get(id);
    if (one === undefined) return;
    one.ended.abort();
    watched.delete(id);
    const left = Promise.resolve(one.done).then(() => {
      if (leaving.get(id) === left) leaving.delete(id);
    });
    leaving.set(id, left);
  };

  return {
    follow(instances) {
      const wanted = new Map(instances.map((instance) => [instance.id, instance]));
      for (const [id, { life }] of watched) if (wanted.get(id)?.life !== life) end(id);
      for (const instance of instances) if (!watched.has(instance.id)) begin(instance);
    },
    recall(id, finding) {
      const one = watched.get(id);
      if (one === undefined || one.answered || one.standing.finding) return;
      one.standing = { ...one.standing, finding };
      changed();
    },
    standing: (id) => watched.get(id)?.standing,
    async close() {
      for (const id of [...watched.keys()]) end(id);
      await Promise.all(leaving.values());
    },
  };
}

/** Asks a server at the pace's interval until `ended`. */
export function probing(connect: () => Probe, pace: Pace): Followed["begin"] {
  return async (place, ended) => {
    const probe = connect();
    while (!ended.aborted) {
      const began = monotonic();
      const outcome = await outcomeOf(probe, deadline(pace.timeout, ended));
      if (ended.aborted) break;
      place.put(afterProbe(place.standing(), outcome, pace));
      // Spread, so that many registrators do not ask in step.
      const next = awaitsConfirmation(place.standing())
        ? confirmation
        : pace.interval * (0.9 + 0.2 * Math.random());
      await pause(next - (monotonic() - began), ended);
    }
    probe.close();
  };
}

/** A standing that is found at once and stays. */
export function fixed(standing: Partial<Standing>): Followed["begin"] {
  return (place) => place.put({ ...unprobed, ...standing });
}

/** Contends for a lock until `ended`. */
export function electing(open: () => Ballot, keeps: () => boolean, promote?: Promote): Followed["begin"] {
  return (place, ended) => {
    const before = () => place.standing().finding;
    const tell = ({ finding, problem }: Verdict) => place.put({ ...unprobed, finding, problem });
    return contend(open(), { before, tell, keeps, promote }, ended);
  };
}

async function outcomeOf(probe: Probe, signal: AbortSignal): Promise<Finding | { readonly problem: string }> {
  try {
    return await probe.ask(signal);
  } catch (error) {
    return { problem: problemOf(error) };
  }
}

/** One line; Node.js gives an error without words where each of several addresses failed. */
function problemOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return problemOf(error.errors[0]);
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.replace(/\s+/g, " ").slice(0, 300);
}
