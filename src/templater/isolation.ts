import { isDeepStrictEqual } from "node:util";
import { instancesOf, type Snapshot } from "../backends/backend.ts";
import { backoff, monotonic } from "../clock.ts";
import type { PortolanError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Turn } from "../loop.ts";
import { wordsOf } from "./check.ts";
import { type Quarantine, withLists } from "./quarantine.ts";
import { type Found, searchRefused } from "./quarantine-search.ts";
import type { Tally } from "./tally.ts";

/** Finds the services at fault after a check has refused a render, and has them held back. */
export interface Isolation {
  /**
   * Resolves with "held" when a render without the services at fault is worth it, with "superseded" when something
   * newer has come. Rejects with the refusal when it is no service's fault, or when all else is as it was.
   */
  isolate(refusal: Refusal, turn: Turn): Promise<"held" | "superseded">;
  /** Something has changed besides services, or was accepted: the next search is not put off. */
  begin(): void;
}

/** A render that a check has refused. */
export interface Refusal {
  readonly error: PortolanError;
  /** The world that it was made from, and the last one that was accepted. */
  readonly now: Snapshot;
  readonly before: Snapshot;
  /** The services that the templates read and that are not the same objects in both. */
  readonly changed: readonly string[];
  /** What the check says of another world; undefined when it passes. */
  rehearse(world: Snapshot): Promise<PortolanError | undefined>;
}

/** What an isolation needs of the target around it. */
export interface IsolationOptions {
  readonly quarantine: Quarantine;
  /** Names the target, for the log. */
  readonly name: { readonly destination: string };
  readonly log: Pick<Log, "warn">;
  readonly tally: Pick<Tally, "heldBack">;
  /** The text without secrets: programs quote the file that they complain of. */
  mask(text: string): string;
}

/** ms that a search may have taken when its last check begins. */
const longest = 10_000;

/** ms until there is another search after one that has found nothing: at least, and the base and cap of what is added. */
const wait = { least: 1_000, base: 2_000, cap: 300_000 };

/** Isolates into a quarantine. */
export function createIsolation({ quarantine, name, log, tally, mask }: IsolationOptions): Isolation {
  /** Searches that have found nothing, one after the other, and when the next one may be. */
  let vain = 0;
  let from = Number.NEGATIVE_INFINITY;

  const words = (error: PortolanError) => mask(wordsOf(error));

  /** Undefined when it has found nothing, or takes too long. */
  const search = async (
    { error, now, before, rehearse }: Refusal,
    changed: readonly string[],
    turn: Turn,
  ): Promise<Found | "superseded" | undefined> => {
    const until = monotonic() + longest;
    const steps = searchRefused(changed, words(error));
    let step = steps.next();
    while (!step.done) {
      if (!(await turn.settled())) return "superseded";
      if (monotonic() > until) return undefined;
      const asNow = new Set(step.value);
      const asBefore = changed.filter((service) => !asNow.has(service));
      const lists = asBefore.map((service) => [service, before.services.get(service)] as const);
      const said = await rehearse(withLists(now, new Map(lists)));
      step = steps.next(said && words(said));
    }
    const { passing, refused } = step.value;
    return passing.length + refused.size > 0 ? step.value : undefined;
  };

  return {
    async isolate(refusal, turn) {
      const { error, now, before } = refusal;
      // What a process reads at its start is another object than what the one before has kept.
      const changed = refusal.changed.filter(
        (service) => !isDeepStrictEqual(instancesOf(before, service), instancesOf(now, service)),
      );
      const known = changed.filter(quarantine.has);
      let found: Found | undefined;
      if (changed.length > 1 && monotonic() >= from) {
        const result = await search(refusal, changed, turn);
        if (result === "superseded") return result;
        found = result;
        if (found === undefined) from = monotonic() + wait.least + backoff(vain++, wait.base, wait.cap);
      }
      const again = new Map(known.map((service) => [service, words(error)]));
      // What was held back is so again: the rest is tried without it.
      found ??= { passing: [], refused: again, undecided: new Map() };
      const news = quarantine.hold(found, now, before, monotonic());
      for (const { service, why } of news) {
        log.warn({ ...name, service, code: error.code, why }, "held back as it was, the rest goes on");
        tally.heldBack();
      }
      const isOver = found.passing.length === 0 && found.undecided.size === 0;
      const isNews = news.length > 0 || known.length < changed.length;
      if (isOver && (isNews || changed.length === 0)) throw error;
      return "held";
    },
    begin() {
      vain = 0;
      from = Number.NEGATIVE_INFINITY;
    },
  };
}
