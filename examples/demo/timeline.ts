// The printed timeline: what follows from each of Docker's events, in milliseconds after it.
import { setTimeout as sleep } from "node:timers/promises";
import { shortName } from "./containers.ts";
import { type Applied, type ContainerEvent, type Journal, now, type RecordChange } from "./journal.ts";
import type { Life } from "./life.ts";
import { after, showHeading, showNote, showRow } from "./row.ts";
import { bold, line } from "./terminal.ts";
import type { Outcome, Traffic } from "./traffic.ts";

/** Plays what happens to a container, waits for everything that follows, and prints it. */
export interface Timeline {
  /** Begins a part of the story. `phase` names it in the summary, for example `in the failover`. */
  act(title: string, phase: string): void;
  /** A container is started by `work`, and gets requests of `traffic`: within 15 s, or as many ms as are given. */
  start(name: string, work: () => Promise<void>, traffic: Traffic, within?: number): Promise<void>;
  /** A container is stopped by `work`. */
  stop(name: string, work: () => Promise<void>, traffic: Traffic): Promise<void>;
  /** A container is killed by `work`. */
  kill(name: string, work: () => Promise<void>, traffic: Traffic): Promise<void>;
  /** What the whole came to. */
  summary(traffic: Traffic): readonly string[];
}

/** ms that the templater leaves between two reloads (minInterval), and a little: each event is to come after quiet. */
const quiet = 1_200;

/** Prints the head of the timeline. */
export function createTimeline(life: Life, journal: Journal): Timeline {
  showHeading();
  const begin = now();
  const phases: { readonly name: string; readonly from: number }[] = [];
  const firstAnswers: number[] = [];

  /** Does `work` after quiet; returns the moment just before it, and what Docker told of it. */
  const cause = async (name: string, action: string, work: () => Promise<void>) => {
    const last = journal.applied.at(-1)?.reloadedAt ?? begin;
    await sleep(Math.max(0, last + quiet - now()), undefined, { signal: life.signal });
    const seen = journal.events.length;
    const since = now();
    await work();
    const event = await life.until(`Docker's event ${action} of ${name}`, () =>
      journal.events
        .slice(seen)
        .find((event) => event.action === action && shortName(event.attributes.name ?? "") === name),
    );
    return { since, event };
  };
  const record = (
    event: ContainerEvent,
    name: string,
    states: readonly RecordChange["state"][],
    within?: number,
  ) =>
    life.until(
      `the record of ${name} to be ${states.join(" or ")} in the backend`,
      () => recordAfter(journal, event, states),
      within,
    );
  const applied = (event: ContainerEvent, name: string) =>
    life.until(`the templater to apply the change of ${name}`, () => appliedAfter(journal, event.at));

  /** Shows what follows from a signal to a container and from its end, the event that is returned. */
  const showEnd = async (event: ContainerEvent, signal: string, name: string, traffic: Traffic) => {
    // A record whose container is dead at once may be gone before anybody has read that it was draining.
    const withdrawn = await record(event, name, ["draining", "removed"]);
    const file = await applied(event, name);
    const end = await life.until(`the end of ${name}`, () =>
      journal.events.find(({ action, id, at }) => action === "die" && id === event.id && at >= event.at),
    );
    const removed = await record(end, name, ["removed"]);
    // Requests that were in flight come to their end, and whatever goes wrong has time to do so.
    await sleep(Math.max(0, event.at + 1_000 - now()), undefined, { signal: life.signal });
    const at = lastAnswer(traffic, name);
    showRow({
      ...{ at: event.at, event: signal, container: name, record: withdrawn, applied: file },
      traffic: at === undefined ? undefined : { at, what: "last answer" },
    });
    showRow({ at: end.at, event: "die", container: name, record: removed });
    return end;
  };

  return {
    act(title, phase) {
      phases.push({ name: phase, from: now() });
      line();
      line(bold(title));
    },

    async start(name, work, traffic, within) {
      const { event } = await cause(name, "start", work);
      const ready = await record(event, name, ["ready"], within);
      const file = await applied(event, name);
      const answer = await life.until(
        `the first answer of ${name}`,
        () => traffic.outcomes.find(({ by, endedAt }) => by === name && endedAt > event.at),
        within,
      );
      firstAnswers.push(answer.endedAt - event.at);
      showRow({
        ...{ at: event.at, event: "start", container: name, record: ready, applied: file },
        traffic: { at: answer.endedAt, what: "first answer" },
      });
    },

    async stop(name, work, traffic) {
      const { since, event } = await cause(name, "kill", work);
      const end = await showEnd(event, "SIGTERM", name, traffic);
      const seconds = ((end.at - event.at) / 1000).toFixed(1);
      showNote(`${name} went on for ${seconds} s; ${failedOf(endedSince(traffic, since))} meanwhile`);
    },

    async kill(name, work, traffic) {
      const { since, event } = await cause(name, "kill", work);
      await showEnd(event, "SIGKILL", name, traffic);
      const asked = endedSince(traffic, since);
      const last = asked.filter(isFailed).at(-1);
      const when = last && `; the last was sent at ${after(last.sentAt - event.at)} (${last.failure})`;
      showNote(`${failedOf(asked)}${when ?? ""}`);
    },

    summary(traffic) {
      const first = traffic.outcomes.find(({ by }) => by !== undefined);
      const all = traffic.outcomes.filter(({ sentAt }) => sentAt >= (first?.endedAt ?? 0));
      const failed = all.filter(isFailed);
      const where = phases
        .map(({ name, from }, at) => {
          const to = phases[at + 1]?.from ?? Number.POSITIVE_INFINITY;
          const count = failed.filter(({ sentAt }) => sentAt >= from && sentAt < to).length;
          return { name, count };
        })
        .filter(({ count }) => count > 0)
        .map(({ name, count }) => `${count} ${name}`);
      const answers = firstAnswers.map(Math.round);
      return [
        `${traffic.host} got ${all.length} requests since its first answer: ${all.length - failed.length} were answered, ${failed.length} failed${where.length > 0 ? ` (${where.join(", ")})` : ""}.`,
        `Started containers answered their first request ${Math.min(...answers)} to ${Math.max(...answers)} ms after Docker's event.`,
      ];
    },
  };
}

/** The moment after an event when the container's record came into one of the states. */
export function recordAfter(
  { records }: Journal,
  event: ContainerEvent,
  states: readonly RecordChange["state"][],
): RecordChange | undefined {
  return records.find(({ id, at, state }) => id === event.id && at >= event.at && states.includes(state));
}

/** The first new file after a moment. */
export function appliedAfter({ applied }: Pick<Journal, "applied">, moment: number): Applied | undefined {
  return applied.find(({ swappedAt }) => swappedAt >= moment);
}

const isFailed = ({ failure }: Outcome) => failure !== undefined;

/** The requests that were under way at a moment, and the later ones. */
function endedSince({ outcomes }: Traffic, moment: number): readonly Outcome[] {
  return outcomes.filter(({ endedAt }) => endedAt >= moment);
}

function failedOf(outcomes: readonly Outcome[]): string {
  return `${outcomes.filter(isFailed).length} of ${outcomes.length} requests failed`;
}

function lastAnswer({ outcomes }: Traffic, name: string): number | undefined {
  return outcomes.findLast(({ by }) => by === name)?.endedAt;
}
