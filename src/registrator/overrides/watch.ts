import type { Backend, Notes } from "../../backends/backend.ts";
import { after } from "../../clock.ts";
import type { Instance } from "../../instance.ts";
import type { Log } from "../../log.ts";
import type { Loop } from "../../loop.ts";
import { decodeOverride, encodeOverride, type Override, type OverrideTarget } from "../../override.ts";
import type { Problem, Source } from "../../source.ts";
import type { StateDir } from "../../state-dir.ts";
import type { Fate } from "../plan.ts";
import type { Outcome, Reasoned } from "../rules/outcome.ts";
import { isAbout, withOverrides } from "./apply.ts";
import { createTerms } from "./terms.ts";
import { type Due, tidy } from "./tidy.ts";

/** What operators want of the instances. */
export interface Wanted {
  /** False until it is known, or known that it cannot be: until then nobody can tell what should be registered. */
  isReady(): boolean;
  /** The instances as they are wanted; unchanged ones are the same objects. */
  apply(registered: readonly Reasoned[]): Outcome;
  /** Whether a record drains because somebody wants it, or wanted it when the process before ended. */
  explainsDrain(record: Instance): boolean;
  /** Another number after each change of what `apply` would give. */
  revision(): number;
}

/** What operators want, as far as the backends' notes say. */
export interface Overrides extends Wanted {
  /** Those that count now, of every node. */
  inForce(): readonly Override[];
  /** Looks for overrides of this node that are over, and deletes them: to be called when Docker has changed. */
  tidy(): void;
  close(): Promise<void>;
}

/** What overrides are made from. */
export interface OverridesOptions {
  readonly backends: readonly Backend[];
  readonly log: Log;
  /** Where what was seen is kept for the next process, whose backend may not answer at first. */
  readonly state?: Pick<StateDir, "read" | "write"> | undefined;
  /** Told of each change of `revision`. */
  changed(): void;
  /** The node whose overrides are this process's to delete in a backend; undefined while it holds no lease there. */
  nodeIn(backend: Backend): string | undefined;
  /** The container of an instance that is registered; undefined where none is. */
  containerOf(id: string): string | undefined;
  /** What is known of a container. */
  fate(container: string): Fate;
  /** Asks Docker about a container that is unknown. */
  ask(container: string): void;
}

/** An override and its note. */
type Read = Override & { readonly name: string; readonly text: string };

/** One backend's notes, and what they mean. */
interface Watched {
  readonly backend: Backend;
  readonly source: Source<ReadonlyMap<string, string>>;
  readonly tidying: Loop;
  /** As the process before has left them, until the backend answers; undefined: neither is known. */
  texts: ReadonlyMap<string, string> | undefined;
  overrides: readonly Read[];
  /** Notes that were told to be unreadable. */
  bad: ReadonlyMap<string, string>;
  told: Problem["kind"] | undefined;
}

/** The file in the state folder: by the backend's title, notes by name. */
const memory = "overrides";

/**
 * Watches the overrides of every backend that keeps notes. In an outage the last known ones count. Nothing is ready
 * before each backend has told of its own or has failed to, or it is known what it told the process before: else a
 * restart would take back for a moment what was ordered.
 */
export function createOverrides(options: OverridesOptions): Overrides {
  const { log, state } = options;
  const terms = createTerms();
  let revision = 0;
  let hasRemembered = false;
  let closed = false;
  let writing: Promise<void> = Promise.resolve();
  let cancelEnd = () => {};
  /** What the process before knew. */
  let left: readonly Override[] = [];
  /** The instances as they were made, so that what has not changed is the same object. */
  const made = new WeakMap<Reasoned, { readonly key: string; readonly outcome: Outcome }>();

  const watch = (backend: Backend, notes: Notes): Watched => {
    const one: Watched = {
      backend,
      source: notes.watch(),
      tidying: tidy({ backend, notes, log, due: () => dueIn(one) }),
      texts: undefined,
      overrides: [],
      bad: new Map(),
      told: undefined,
    };
    return one;
  };
  const watched = options.backends.flatMap((backend) => {
    const notes = backend.notes?.("overrides");
    return notes ? [watch(backend, notes)] : [];
  });

  const inForce = () =>
    watched.flatMap(({ overrides }) =>
      overrides.map(terms.standing).filter(({ tags, drain }) => tags || drain),
    );
  const isReady = () =>
    hasRemembered && watched.every(({ texts, source }) => texts !== undefined || source.current().problem);

  /** A target with its container; undefined where that is gone, and the order with it. */
  const ofToday = (target: OverrideTarget): OverrideTarget | undefined => {
    if (target.id === undefined) return target;
    const container = target.container ?? options.containerOf(target.id);
    if (container === undefined) return undefined;
    const fate = options.fate(container);
    if (fate === "unknown") options.ask(container);
    if (fate === "gone") return undefined;
    return container === target.container ? target : { ...target, container };
  };
  /** What of this node is over, or lacks its container. What is only remembered is nobody's to change. */
  const dueIn = ({ backend, source, overrides }: Watched): readonly Due[] => {
    const node = options.nodeIn(backend);
    if (node === undefined || !source.current().known) return [];
    return overrides.flatMap((one): Due[] => {
      const { name, text, target, tags, drain } = one;
      if (target.node !== node) return [];
      const about = ofToday(target);
      if (about === undefined) return [{ name, text, rest: undefined }];
      const now = terms.standing(one);
      const isAsRead = now.tags === tags && now.drain === drain && about === target;
      return isAsRead ? [] : [{ name, text, rest: encodeOverride({ ...now, target: about }) }];
    });
  };
  const tidyAll = () => {
    for (const { tidying } of watched) tidying.nudge();
  };

  const put = (one: Watched, texts: ReadonlyMap<string, string>) => {
    const { title } = one.backend;
    const bad = new Map<string, string>();
    one.texts = texts;
    one.overrides = [...texts].flatMap(([name, text]): Read[] => {
      try {
        return [{ ...decodeOverride(name, text, `${title}: overrides/${name}`), name, text }];
      } catch (error) {
        bad.set(name, text);
        const way = "an override that cannot be read changes nothing; remove it or write it anew";
        if (one.bad.get(name) !== text) log.warn({ backend: title, override: name, err: error }, way);
        return [];
      }
    });
    one.bad = bad;
  };
  /** What counts may be another than before. */
  const renew = () => {
    if (closed) return;
    terms.of(watched.flatMap(({ overrides }) => overrides));
    cancelEnd();
    const next = terms.next();
    // A millisecond more, because timers may be early by a fraction of one.
    if (next !== undefined) cancelEnd = after(next + 1, renew);
    revision += 1;
    options.changed();
    tidyAll();
  };

  const keep = () => {
    if (!state) return;
    const known = watched.flatMap(({ backend, texts }) =>
      texts ? [[backend.title, Object.fromEntries(texts)] as const] : [],
    );
    const text = `${JSON.stringify(Object.fromEntries(known))}\n`;
    writing = writing
      .then(() => state.write(memory, text))
      .catch((error: unknown) => log.warn({ err: error }, "overrides are not kept for the next process"));
  };
  const look = (one: Watched) => {
    const now = one.source.current();
    // Of a backend that was never reached the lease tells; a folder is even made by it.
    const isNews = now.problem?.kind !== "unreachable" || options.nodeIn(one.backend) !== undefined;
    const problem = isNews ? now.problem : undefined;
    if (problem && problem.kind !== one.told) {
      const what = "overrides are not reached; the last known ones count";
      log.warn({ backend: one.backend.title, err: problem.error }, what);
    }
    one.told = problem?.kind;
    if (!hasRemembered) return;
    const wasKnown = one.texts !== undefined;
    const isNew = now.known && now.value !== one.texts;
    if (isNew) {
      put(one, now.value);
      keep();
    }
    if (isNew || !wasKnown) renew();
  };
  const unsubscribes = watched.map((one) => one.source.subscribe(() => look(one)));

  const remember = async () => {
    try {
      const all: unknown = JSON.parse((await state?.read(memory)) ?? "{}");
      for (const one of watched) {
        const texts = (all as Record<string, Record<string, string> | undefined>)[one.backend.title];
        if (texts) put(one, new Map(Object.entries(texts)));
      }
    } catch (error) {
      log.warn({ err: error }, "it is not known which overrides there were");
    }
    if (closed) return;
    left = watched.flatMap(({ overrides }) => overrides);
    hasRemembered = true;
    renew();
    for (const one of watched) look(one);
  };
  void remember();

  return {
    isReady,
    inForce,
    apply(registered) {
      const overrides = inForce();
      const outcomes = registered.map((one) => {
        const its = overrides.filter((override) => isAbout(override, one.instance));
        if (its.length === 0) return { registered: [one], remarks: [] };
        const key = JSON.stringify(its);
        const before = made.get(one);
        if (before?.key === key) return before.outcome;
        const outcome = withOverrides([one], its);
        made.set(one, { key, outcome });
        return outcome;
      });
      return {
        registered: outcomes.flatMap((outcome) => outcome.registered),
        remarks: outcomes.flatMap((outcome) => outcome.remarks),
      };
    },
    explainsDrain: (record) =>
      [...left, ...inForce()].some((one) => one.drain !== undefined && isAbout(one, record)),
    revision: () => revision,
    tidy: tidyAll,
    async close() {
      closed = true;
      cancelEnd();
      for (const unsubscribe of unsubscribes) unsubscribe();
      await Promise.all(watched.flatMap(({ tidying, source }) => [tidying.stop(), source.close()]));
      await writing;
    },
  };
}
