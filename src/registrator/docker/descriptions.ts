import { compare } from "../../instance.ts";
import type { LocalContainer, LocalContainerSource, LocalContainers } from "../../local-containers.ts";
import { createCell, type Problem } from "../../source.ts";
import type { Inspected, Listed } from "./client.ts";
import type { Internal } from "./described.ts";
import { isUp } from "./list.ts";

/** The whole descriptions of containers, for as long as somebody wants them, beside what registration keeps. */
export interface Descriptions {
  readonly source: LocalContainerSource;
  /** What is wanted now. */
  wanted(): Wanted;
  /** The containers that are described. */
  ids(): Iterable<string>;
  /** True when what the list says of a container is not all that is wanted of it. */
  lacks(entry: Listed): boolean;
  /** Docker has described a container, or knows none of this id. */
  found(id: string, inspected: Inspected | undefined, internal: Internal): void;
  /** Its process has ended, as an event says; Docker describes it later. */
  ended(id: string): void;
  /** All that was wanted when a list began has been read. */
  complete(wanted: Wanted): void;
  /** Tells of what has changed, once something is complete. */
  publish(): void;
  /** Docker cannot be read; what was published stays. */
  fail(problem: Problem): void;
  /** It is another Docker. */
  forget(): void;
}

/** Each is more than the one before. */
const scopes = ["none", "running", "all"] as const;
type Wanted = (typeof scopes)[number];

const least = (a: Wanted, b: Wanted): Wanted => (scopes.indexOf(a) < scopes.indexOf(b) ? a : b);

/** Descriptions of nothing. `relist` asks for a full list. */
export function createDescriptions(relist: () => void): Descriptions {
  const cell = createCell<LocalContainers>();
  const described = new Map<string, LocalContainer>();
  let wanted: Wanted = "none";
  /** What `described` holds completely. */
  let known: Wanted = "none";
  let published: LocalContainers | undefined;

  const keep = (id: string, next: LocalContainer | undefined) => {
    const isWanted = wanted === "all" || (wanted === "running" && next?.state.running === true);
    if (next === undefined || !isWanted) return void described.delete(id);
    const before = described.get(id);
    if (before === undefined || JSON.stringify(before) !== JSON.stringify(next)) described.set(id, next);
  };

  return {
    source: {
      current() {
        const now = cell.current();
        if (known !== "none") return now;
        return { known: false, ...(now.problem && { problem: now.problem }) };
      },
      subscribe: cell.subscribe,
      want(next) {
        if (next === wanted) return;
        wanted = next;
        known = least(known, wanted);
        for (const [id, container] of [...described]) keep(id, container);
        if (next !== "none") return relist();
        // Nothing is kept of what holds secrets.
        published = undefined;
        cell.set({ containers: [], all: false });
      },
    },
    wanted: () => wanted,
    ids: () => described.keys(),
    lacks(entry) {
      if (wanted === "none" || (wanted === "running" && !isUp(entry))) return false;
      const of = described.get(entry.Id);
      return of === undefined || of.state.status !== entry.State || !entry.Names.includes(`/${of.name}`);
    },
    found: (id, inspected, internal) =>
      keep(id, wanted === "none" ? undefined : inspected?.describe(internal)),
    ended(id) {
      const before = described.get(id);
      if (before) keep(id, { ...before, state: { ...before.state, status: "exited", running: false } });
    },
    complete(now) {
      known = least(now, wanted);
    },
    publish() {
      if (known === "none") return;
      const all = known === "all";
      const containers = [...described.values()].sort(
        (a, b) => compare(a.name, b.name) || compare(a.id, b.id),
      );
      const same =
        published?.all === all &&
        published.containers.length === containers.length &&
        published.containers.every((one, at) => one === containers[at]);
      if (!same || published === undefined) published = { containers, all };
      cell.set(published);
    },
    fail(problem) {
      if (wanted !== "none") cell.fail(problem);
    },
    forget: () => described.clear(),
  };
}
