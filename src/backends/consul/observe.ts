import type { Instance } from "../../instance.ts";
import { createCell, type Problem, type Source } from "../../source.ts";
import type { Interest, Observation, Snapshot } from "../backend.ts";
import { inOrder, shareSnapshot } from "../records.ts";
import { readNames, readService, type ServiceAnswer } from "./answer.ts";
import type { ConsulApi } from "./api.ts";
import { createBelief } from "./belief.ts";
import { isAddressable } from "./body.ts";
import { createExpiry } from "./expiry.ts";
import { createHealthQueries } from "./health.ts";
import { watchQuery } from "./query.ts";
import { createRetries } from "./retries.ts";

/** Sources that exist while somebody uses them: one per key, shared by all users. */
interface Shared<T> {
  take(key: string): Source<T>;
  drop(key: string): void;
  close(): void;
}

function createShared<T>(open: (key: string) => Source<T>): Shared<T> {
  const held = new Map<string, { readonly source: Source<T>; users: number }>();
  return {
    take(key) {
      const entry = held.get(key) ?? { source: open(key), users: 0 };
      held.set(key, entry);
      entry.users += 1;
      return entry.source;
    },
    drop(key) {
      const entry = held.get(key);
      if (!entry) return;
      entry.users -= 1;
      if (entry.users > 0) return;
      held.delete(key);
      void entry.source.close();
    },
    close() {
      for (const { source } of held.values()) void source.close();
      held.clear();
    },
  };
}

/** Observes the services of one Consul that somebody reads, each once, however many observe it. */
export interface Observer {
  observe(interest: Interest): Observation;
  /** Ends every observation. */
  close(): void;
}

/** An observer that asks nothing before something is observed. `grace`: see `watchQuery`. */
export function createObserver(api: ConsulApi, grace?: number): Observer {
  const retries = createRetries();
  const queries = createHealthQueries(api);
  const services = createShared((name) => {
    if (!isAddressable(name)) return unaddressable(name);
    const expiry = createExpiry();
    return watchQuery<ServiceAnswer>(
      {
        ask: createBelief(api, name, (question, signal) => queries.ask(name, question, signal)),
        read: ({ body, isDoubtful }, previous) =>
          expiry.reading((isEarly) => readService(name, body, previous, { isDoubtful, isEarly })),
        isLess: isServiceLess,
        againIn: expiry.againIn,
      },
      retries,
      grace,
    );
  });
  const names = createShared(() => {
    return watchQuery<readonly string[]>(
      {
        ask: createBelief(api, "", api.names),
        read: ({ body }, previous) => readNames(body, previous),
        isLess: (now, before) => {
          const there = new Set(now);
          return before.some((name) => !there.has(name));
        },
      },
      retries,
      grace,
    );
  });
  return {
    observe: (interest) => observe(interest, services, names),
    close() {
      services.close();
      names.close();
    },
  };
}

/** Whether an instance is missing that did not drain. */
function isServiceLess(now: ServiceAnswer, before: ServiceAnswer): boolean {
  const ids = new Set(now.instances.map(({ id }) => id));
  return before.instances.some(({ id, state }) => state !== "draining" && !ids.has(id));
}

/** A source that is used, and how to stop using it. */
interface Use<T> {
  readonly source: Source<T>;
  leave(): void;
}

function use<T>(shared: Shared<T>, key: string, listener: () => void): Use<T> {
  const source = shared.take(key);
  const unsubscribe = source.subscribe(listener);
  return {
    source,
    leave() {
      unsubscribe();
      shared.drop(key);
    },
  };
}

function observe(
  first: Interest,
  services: Shared<ServiceAnswer>,
  names: Shared<readonly string[]>,
): Observation {
  const cell = createCell<Snapshot>();
  const followed = new Map<string, Use<ServiceAnswer>>();
  let interest = first;
  let named: Use<readonly string[]> | undefined;
  let last: Snapshot = { services: new Map(), complete: false, invalid: new Map() };
  let muted = false;

  /** Follows what is wanted now, and leaves the rest. While the names are unknown, it follows what it did. */
  const follow = () => {
    if (interest.services === "all") {
      named ??= use(names, "", follow);
    } else {
      named?.leave();
      named = undefined;
    }
    const wanted = interest.services === "all" ? namesNow() : interest.services;
    for (const name of wanted ?? []) {
      if (!followed.has(name)) followed.set(name, use(services, name, told));
    }
    for (const [name, { source, leave }] of wanted ? followed : []) {
      if (wanted?.has(name) || (named && isThere(source))) continue;
      followed.delete(name);
      leave();
    }
    publish();
  };

  /** A name that Consul lists no more is gone when its own answer says so: that one is checked against our rights. */
  const told = () => (named ? follow() : publish());
  const isThere = (source: Source<ServiceAnswer>) => {
    const now = source.current();
    return now.known && now.value.instances.length > 0;
  };

  const namesNow = (): ReadonlySet<string> | undefined => {
    const now = named?.source.current();
    return now?.known ? new Set(now.value) : undefined;
  };

  const publish = () => {
    const problems = [...followed.values(), ...(named ? [named] : [])].flatMap(
      ({ source }) => source.current().problem ?? [],
    );
    // A partial read is no value: while one part is out of reach, the whole stays as it was.
    const unreachable = problems.find(({ kind }) => kind === "unreachable");
    if (unreachable) return cell.fail(unreachable);

    const known = new Map<string, readonly Instance[]>();
    const invalid = new Map<string, string>();
    for (const [name, { source }] of followed) {
      const now = source.current();
      if (!now.known) continue;
      known.set(name, now.value.instances);
      for (const [place, reason] of now.value.invalid) invalid.set(place, reason);
    }
    const all = known.size === followed.size;
    // A part that will be there in a moment is waited for.
    if (named && !all && problems.length === 0) return;
    const complete = all && namesNow() !== undefined;
    const [denied] = problems;
    if (known.size > 0 || complete || (all && !named)) {
      publishValue(shareSnapshot(last, { services: inOrder(known), complete, invalid }), denied);
    }
    if (denied) cell.fail(denied);
  };

  /** Sets a value that may have a problem beside it, without a moment in which nobody sees the problem. */
  const publishValue = (next: Snapshot, problem: Problem | undefined) => {
    if (problem && next === last && cell.current().known) return;
    last = next;
    muted = problem !== undefined;
    cell.set(next);
    muted = false;
  };

  follow();
  return {
    current: cell.current,
    subscribe: (listener) =>
      cell.subscribe(() => {
        if (!muted) listener();
      }),
    refresh() {
      named?.source.refresh();
      for (const { source } of followed.values()) source.refresh();
    },
    want(next) {
      interest = next;
      follow();
    },
    async close() {
      named?.leave();
      for (const { leave } of followed.values()) leave();
      followed.clear();
      named = undefined;
    },
  };
}

/** The answer for a name that Consul's HTTP paths cannot carry: nothing can be read, now and later. */
function unaddressable(name: string): Source<ServiceAnswer> {
  const reason = `service ${name}: Consul's HTTP paths cannot carry this name`;
  const value = { instances: [], invalid: new Map([[name, reason]]), byText: new Map() };
  return {
    current: () => ({ known: true, value }),
    subscribe: () => () => {},
    refresh() {},
    close: async () => {},
  };
}
