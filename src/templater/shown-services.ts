import type { Snapshot } from "../backends/backend.ts";
import type { ShownService } from "../daemon-status.ts";

/** Instances that are shown of all services together: a page with more is of no use to anybody. */
const mostShown = 2_000;

/** The services of a snapshot for the status page; all are counted, and as many instances shown as make sense. */
export function shownServices(snapshot: Snapshot | undefined): readonly ShownService[] {
  let left = mostShown;
  return [...(snapshot?.services ?? [])].map(([name, list]) => {
    const instances = list.slice(0, left).map(({ checks: _, ...instance }) => instance);
    left -= instances.length;
    const ready = list.filter(({ state }) => state === "ready").length;
    return { name, count: list.length, ready, instances };
  });
}
