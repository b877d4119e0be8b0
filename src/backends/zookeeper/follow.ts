import { backoff, pause } from "../../clock.ts";
import { coded } from "../../errors.ts";
import type { Problem } from "../../source.ts";
import { problemOf } from "../problem.ts";
import { aborted, type Connection, type Watcher, type Znode } from "./connection.ts";

/** A node, and the names of those below it. */
export interface Leaf {
  /** Undefined for a node without a text that has others below it: it is there for them only. */
  readonly text: string | undefined;
  readonly names: readonly string[];
}

/** A node, and with `deep` all below it, that is kept equal, and whom to tell. */
export interface Place {
  readonly path: string;
  readonly deep: boolean;
  /** What stands there, by path: nothing where there is no node. Complete, and as new as it gets. */
  publish(leaves: ReadonlyMap<string, Leaf>): void;
  /** It may be stale. */
  fail(problem: Problem): void;
}

/** Places being followed on one connection. */
export interface ZookeeperFollow {
  /** Begins to follow a place; `refresh` reads all of it again. */
  add(place: Place): { refresh(): void; stop(): void };
  /** To be called when `lent` has another connection: what had one of its own goes on with that. */
  move(): void;
  /** Ends all of it. */
  close(): void;
}

/** One place as one connection sees it. */
interface Reader {
  /** Reads everything; resolves once it was published, or told to have failed. */
  all(): Promise<void>;
}

/**
 * Follows any number of places on one connection: the one that `lent` has, else one that `connect` makes, which is
 * ended when `lent` has one. Each connection reads everything from the start, after it has caught up with the
 * leader, so that no server can show an older world than the one before. A place that cannot be read there, as where
 * a right is missing, fails and is tried again alone.
 */
export function createZookeeperFollow(
  connect: (signal: AbortSignal) => Promise<Connection>,
  lent: () => Connection | undefined = () => undefined,
): ZookeeperFollow {
  const places = new Map<Place, Reader | undefined>();
  let running: AbortController | undefined;
  let on: Connection | undefined;
  let own: Connection | undefined;
  let problem: Problem | undefined;

  const read = async (place: Place, attempt = 0) => {
    const signal = running?.signal;
    if (!on || !signal || !places.has(place)) return;
    const { gone } = on;
    const live = () => places.get(place) === reader && !gone.aborted && !signal.aborted;
    const failed = (error: unknown) => {
      // Without the connection all of them are begun anew.
      if (!live()) return;
      const told = problemOf(error);
      place.fail(told);
      void pause(backoff(attempt, 100, longest(told)), signal).then(() => {
        if (live()) void read(place, attempt + 1);
      });
    };
    const reader = createReader(on, place, live, failed);
    places.set(place, reader);
    await reader.all();
  };

  const open = async (signal: AbortSignal): Promise<Connection> => {
    const before = lent();
    if (before) return before;
    own = await connect(signal);
    // It may have come meanwhile.
    move();
    return lent() ?? own;
  };
  const move = () => {
    const ended = lent() && own;
    if (!ended) return;
    own = undefined;
    on = undefined;
    // What is being read there may fail now, which is nothing to tell.
    for (const place of places.keys()) places.set(place, undefined);
    ended.end().catch(() => ended.drop(aborted()));
  };

  /** Whether another connection takes its place: nothing failed then. */
  const isMoved = (link: Connection) => ![undefined, link].includes(lent());

  const follow = async (signal: AbortSignal) => {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      let link: Connection | undefined;
      try {
        link = await open(signal);
        const over = AbortSignal.any([link.gone, signal]);
        const lost = new Promise<never>((_resolve, reject) => {
          over.throwIfAborted();
          over.addEventListener("abort", () => reject(over.reason), { once: true });
        });
        lost.catch(() => {});
        await Promise.race([link.catchUp(), lost]);
        if (isMoved(link)) continue;
        on = link;
        problem = undefined;
        await Promise.race([Promise.all([...places.keys()].map((place) => read(place))), lost]);
        attempt = 0;
        await lost;
      } catch (error) {
        if (signal.aborted) return;
        own?.drop(coded("BACKEND_UNREACHABLE", error));
        on = undefined;
        own = undefined;
        if (link && isMoved(link)) continue;
        problem = problemOf(error);
        for (const place of places.keys()) place.fail(problem);
        await pause(backoff(attempt, 100, longest(problem)), signal);
      }
    }
  };

  const end = () => {
    running?.abort();
    running = undefined;
    on = undefined;
    own = undefined;
    problem = undefined;
  };

  return {
    add(place) {
      places.set(place, undefined);
      if (problem) place.fail(problem);
      if (!running) {
        running = new AbortController();
        void follow(running.signal);
      } else {
        void read(place);
      }
      return {
        refresh: () => void read(place),
        stop() {
          places.delete(place);
          if (places.size === 0) end();
        },
      };
    },
    move,
    close() {
      places.clear();
      end();
    },
  };
}

/** ms between two tries. A server that comes back is noticed within a second; a right does not come that soon. */
const longest = ({ kind }: Problem) => (kind === "denied" ? 10_000 : 1_000);

/** Reads a place; whatever a watch touches is read again, and everything is published together. */
function createReader(
  on: Connection,
  place: Place,
  live: () => boolean,
  failed: (error: unknown) => void,
): Reader {
  const leaves = new Map<string, Leaf>();
  const watchers = new Map<string, Watcher>();
  const touched = new Set<string>();
  let reading: Promise<void> | undefined;

  const touch = (path: string) => {
    if (!live()) return;
    touched.add(path);
    pump().catch(failed);
  };
  const watcherOf = (path: string): Watcher => {
    // The package calls each different function of a path.
    const watcher = watchers.get(path) ?? (() => touch(path));
    watchers.set(path, watcher);
    return watcher;
  };

  const forget = (path: string) => {
    for (const name of leaves.get(path)?.names ?? []) forget(childOf(path, name));
    leaves.delete(path);
    if (path !== place.path) watchers.delete(path);
  };

  const readOne = async (path: string): Promise<void> => {
    const watcher = watcherOf(path);
    const node = await on.read(path, watcher);
    const names = node && place.deep ? await on.list(path, watcher) : node && [];
    if (!node || !names) {
      forget(path);
      // It may come back. One further down comes back with its parent's list.
      if (path === place.path && (await on.exists(path, watcher))) touched.add(path);
      return;
    }
    const before = leaves.get(path)?.names ?? [];
    leaves.set(path, { text: textOf(node), names });
    for (const name of before) if (!names.includes(name)) forget(childOf(path, name));
    const fresh = names.map((name) => childOf(path, name)).filter((child) => !leaves.has(child));
    await Promise.all(fresh.map(readOne));
  };

  const pump = (): Promise<void> => {
    reading ??= (async () => {
      try {
        while (touched.size > 0) {
          const paths = [...touched];
          touched.clear();
          for (const path of paths) if (path === place.path || leaves.has(path)) await readOne(path);
        }
        if (live()) place.publish(leaves);
      } finally {
        reading = undefined;
      }
    })();
    return reading;
  };

  return {
    all() {
      touched.add(place.path);
      return pump().catch(failed);
    },
  };
}

/** The text of a node, undefined where it is there for those below it only. */
export function textOf({ text, children }: Znode): string | undefined {
  return text === "" && children > 0 ? undefined : text;
}

/** The path of a node directly below another one. */
export function childOf(path: string, name: string): string {
  return path === "/" ? `/${name}` : `${path}/${name}`;
}
