import type { Backend, Notes } from "../../backends/backend.ts";
import { after, deadline, monotonic, untilWallTime } from "../../clock.ts";
import type { Instance } from "../../instance.ts";
import type { Log } from "../../log.ts";
import { controlLoop } from "../../loop.ts";
import { decodeOverride, encodeOverride, type Order, type Override } from "../../override.ts";
import type { Source } from "../../source.ts";
import type { StateDir } from "../../state-dir.ts";
import type { Fate } from "../plan.ts";
import type { Outcome, Reasoned } from "../rules/outcome.ts";
import { isAbout, withOverrides } from "./apply.ts";

/** What operators want, as far as the backends' notes say. */
export interface Overrides {
  /** False until it is known what the process before has seen: until then nobody can tell what is wanted. */
  isReady(): boolean;
  /** The instances as they are wanted; unchanged ones are the same objects. */
  apply(registered: readonly Reasoned[]): Outcome;
  /** Whether a record drains because somebody wants it, or wanted it when the process before ended. */
  explainsDrain(record: Instance): boolean;
  /** Another number after each change of what `apply` would give. */
  revision(): number;
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
  /** What is known of a container. */
  fate(container: string): Fate;
  /** Asks Docker about a container that is unknown. */
  ask(container: string): void;
}

/** One backend's notes, and what they mean. */
interface Watched {
  readonly backend: Backend;
  readonly notes: Notes;
  readonly source: Source<ReadonlyMap<string, string>>;
  /** As the process before has left them, until the backend answers. */
  texts: ReadonlyMap<string, string>;
  overrides: readonly (Override & { readonly name: string; readonly text: string })[];
  problem: string | undefined;
}

/** The file in the state folder: by the backend's title, notes by name. */
const memory = "overrides";
/** ms that one look for what is over may take. */
const patience = 10_000;

/** Watches the overrides of every backend that keeps notes. In an outage the last known ones count. */
export function createOverrides(options: OverridesOptions): Overrides {
  const { log, changed } = options;
  let revision = 0;
  let isReady = false;
  let closed = false;
  let writing: Promise<void> = Promise.resolve();
  let cancelExpiry = () => {};
  /** Drains that the process before knew. */
  let left: readonly Override[] = [];
  /** When each time that an order names is over, on the monotonic clock. */
  const ends = new Map<string, number>();
  /** Notes that were told to be unreadable. */
  const toldBad = new Set<string>();
  /** The instances as they were made, so that what has not changed is the same object. */
  const made = new WeakMap<Reasoned, { readonly key: string; readonly outcome: Outcome }>();

  const watched = options.backends.flatMap((backend): Watched[] => {
    const notes = backend.notes?.("overrides");
    if (!notes) return [];
    return [{ backend, notes, source: notes.watch(), texts: new Map(), overrides: [], problem: undefined }];
  });

  const isOver = (order: Order | undefined): boolean => {
    if (order?.until === undefined) return false;
    const { until } = order;
    const end = ends.get(until) ?? monotonic() + untilWallTime(until);
    ends.set(until, end);
    return end <= monotonic();
  };
  /** What is left of an override when what is over is left out. */
  const standing = ({ target, tags, drain }: Override): Override => ({
    target,
    ...(tags && !isOver(tags) && { tags }),
    ...(drain && !isOver(drain) && { drain }),
  });
  const inForce = () => watched.flatMap(({ overrides }) => overrides.map(standing));

  const read = (title: string, texts: ReadonlyMap<string, string>): Watched["overrides"] =>
    [...texts].flatMap(([name, text]) => {
      const place = `${title}: overrides/${name}`;
      try {
        return [{ ...decodeOverride(name, text, place), name, text }];
      } catch (error) {
        const key = `${place}\0${text}`;
        if (!toldBad.has(key)) {
          const way = "an override that cannot be read changes nothing; remove or write it anew";
          log.warn({ backend: title, override: name, err: error }, way);
        }
        toldBad.add(key);
        return [];
      }
    });

  const expireLater = () => {
    cancelExpiry();
    const next = Math.min(...[...ends.values()].filter((end) => end > monotonic()));
    if (Number.isFinite(next)) cancelExpiry = after(next - monotonic() + 1, renew);
  };
  const renew = () => {
    if (closed) return;
    const used = new Set(
      watched.flatMap(({ overrides }) => overrides.flatMap(({ tags, drain }) => [tags?.until, drain?.until])),
    );
    for (const until of ends.keys()) if (!used.has(until)) ends.delete(until);
    inForce();
    expireLater();
    revision += 1;
    changed();
    tidying.nudge();
  };

  const keep = () => {
    const { state } = options;
    if (!state) return;
    const text = JSON.stringify(
      Object.fromEntries(watched.map(({ backend, texts }) => [backend.title, Object.fromEntries(texts)])),
    );
    writing = writing
      .then(() => state.write(memory, `${text}\n`))
      .catch((error: unknown) => {
        log.warn({ err: error }, "overrides are not kept for the next process");
      });
  };
  const look = (one: Watched) => {
    const now = one.source.current();
    const problem = now.problem?.error.message;
    if (now.problem && problem !== one.problem) {
      log.warn(
        { backend: one.backend.title, err: now.problem.error },
        "overrides are not reached; the last known ones count",
      );
    }
    one.problem = problem;
    if (!now.known || now.value === one.texts || !isReady) return;
    one.texts = now.value;
    one.overrides = read(one.backend.title, one.texts);
    keep();
    renew();
  };
  const unsubscribes = watched.map((one) => one.source.subscribe(() => look(one)));

  const remember = async () => {
    try {
      const all: unknown = JSON.parse((await options.state?.read(memory)) ?? "{}");
      for (const one of watched) {
        const texts = (all as Record<string, Record<string, string> | undefined>)[one.backend.title];
        one.texts = new Map(Object.entries(texts ?? {}));
        one.overrides = read(one.backend.title, one.texts);
      }
    } catch (error) {
      log.warn({ err: error }, "it is not known which overrides there were");
    }
    if (closed) return;
    left = watched.flatMap(({ overrides }) => overrides);
    isReady = true;
    renew();
    for (const one of watched) look(one);
  };

  /** Removes what is over, if it still stands there as it was read. */
  const tidyOne = async ({ backend, notes, source, overrides }: Watched, signal: AbortSignal) => {
    const node = options.nodeIn(backend);
    if (node === undefined || !source.current().known) return;
    const due = overrides.filter((one) => one.target.node === node && isDue(one));
    if (due.length === 0) return;
    const now = await notes.list(signal);
    for (const one of due) {
      if (now.get(one.name) !== one.text) continue;
      const { container } = one.target;
      const rest = container !== undefined && isGone(container) ? undefined : encodeOverride(standing(one));
      if (rest === undefined) await notes.remove(one.name, signal);
      else await notes.put(one.name, rest, signal);
      log.info({ backend: backend.title, override: one.name }, "an override is over");
    }
  };
  const isGone = (container: string) => {
    const fate = options.fate(container);
    if (fate === "unknown") options.ask(container);
    return fate === "gone";
  };
  const isDue = ({ target, tags, drain }: Override) =>
    isOver(tags) || isOver(drain) || (target.container !== undefined && isGone(target.container));
  const tidying = controlLoop({
    async pass({ signal }) {
      for (const one of watched) await tidyOne(one, deadline(patience, signal));
      return undefined;
    },
    failed: (error) => log.debug({ err: error }, "overrides that are over are not deleted yet; trying again"),
  });
  void remember();

  return {
    isReady: () => isReady,
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
    tidy: () => tidying.nudge(),
    async close() {
      closed = true;
      cancelExpiry();
      for (const unsubscribe of unsubscribes) unsubscribe();
      await Promise.all([tidying.stop(), ...watched.map(({ source }) => source.close())]);
      await writing;
    },
  };
}
