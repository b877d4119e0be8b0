// After the story: whatever somebody does to containers of the demo gets its line in the timeline.
import { shortName } from "./containers.ts";
import type { ContainerEvent, Journal, RecordChange } from "./journal.ts";
import type { Life } from "./life.ts";
import { showRow } from "./row.ts";
import { appliedAfter, recordAfter } from "./timeline.ts";
import { startTraffic } from "./traffic.ts";

/** ms that an event's consequences may take; what has not happened then is left out of its line. */
const patience = 3_000;

/** Shows each further event, until somebody ends the demo. */
export async function followEvents(life: Life, journal: Journal, port: number): Promise<void> {
  let seen = journal.events.length;
  while (!life.signal.aborted) {
    const event = await life
      .until("another event", () => journal.events[seen], Number.POSITIVE_INFINITY)
      .catch((error: unknown) => {
        if (!life.signal.aborted) throw error;
        return undefined;
      });
    if (event === undefined) return;
    seen += 1;
    await show(life, journal, event, port);
  }
}

async function show(life: Life, journal: Journal, event: ContainerEvent, port: number): Promise<void> {
  const { attributes, action, at } = event;
  const expected = expectations[action === "kill" ? `kill ${attributes.signal}` : action];
  if (expected === undefined) return;
  const name = shortName(attributes.name ?? "");
  const host = attributes.SERVICE_HTTP_HOST;
  const traffic = action === "start" && host !== undefined ? startTraffic(port, host) : undefined;
  const answers = [name, event.id.slice(0, 12)];
  const answer = () => traffic?.outcomes.find(({ by }) => by !== undefined && answers.includes(by));
  const record = () => recordAfter(journal, event, expected.states);
  const applied = () => {
    const changed = record();
    return changed && appliedAfter(journal, changed.at);
  };
  await life
    .until("everything that follows", () => applied() && (traffic === undefined || answer()), patience)
    .catch(() => undefined);
  await traffic?.stop();
  const first = answer();
  showRow({
    ...{ at, event: expected.event, container: name, record: record(), applied: applied() },
    traffic: first && { at: first.endedAt, what: "first answer" },
  });
}

/** What an event does to the container's record, and its name in the timeline. */
const expectations: Readonly<
  Record<string, { readonly event: string; readonly states: readonly RecordChange["state"][] }>
> = {
  start: { event: "start", states: ["ready"] },
  "kill 15": { event: "SIGTERM", states: ["draining", "removed"] },
  "kill 9": { event: "SIGKILL", states: ["draining", "removed"] },
  die: { event: "die", states: ["removed"] },
};
