import { setMaxListeners } from "node:events";
import { backoff, pause } from "../../clock.ts";
import { coded } from "../../errors.ts";
import type { Problem } from "../../source.ts";
import type { Connection, Watcher, Znode } from "./connection.ts";

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
  /** Ends all of it. */
  close(): void;
}

/** One place as one connection sees it. */
interface Reader {
  /** Reads everything; resolves once it was published. */
  all(): Promise<void>;
}

/**
 * Follows any number of places on one connection, as long as there is one. Each connection reads everything from
 * the start, after it has caught up with the leader, so that no server can show an older world than the one before.
 */
export function createZookeeperFollow(
  connect: (signal: AbortSignal) => Promise<Connection>,
): ZookeeperFollow {
  const places = new Map<Place, Reader | undefined>();
  let running: AbortController | undefined;
  let on: Connection | undefined;
  let problem: Problem | undefined;

  const read = async (place: Place) => {
    if (!on || !places.has(place)) return;
    const reader = createReader(on, place, () => places.get(place) === reader);
    places.set(place, reader);
    await reader.all();
  };
  /** A read that fails drops the connection. */
  const guarded = (place: Place) => {
    const at = on;
    read(place).catch((error: unknown) => at?.drop(coded("BACKEND_UNREACHABLE", error)));
  };

  const follow = async (signal: AbortSignal) => {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        const link = await connect(signal);
        const lost = new Promise<never>((_resolve, reject) => {
          setMaxListeners(0, link.gone);
          link.gone.addEventListener("abort", () => reject(link.gone.reason), { once: true });
        });
        lost.catch(() => {});
        await link.catchUp();
        on = link;
        problem = undefined;
        await Promise.race([Promise.all([...places.keys()].map(read)), lost]);
        attempt = 0;
        await lost;
      } catch (error) {
        on?.drop(coded("BACKEND_UNREACHABLE", error));
        on = undefined;
        if (signal.aborted) return;
        const cause = coded("BACKEND_UNREACHABLE", error);
        problem = { kind: cause.code === "BACKEND_DENIED" ? "denied" : "unreachable", error: cause };
        for (const place of places.keys()) place.fail(problem);
        // A server that comes back is noticed within a second; a refused right does not mend that soon.
        await pause(backoff(attempt, 100, problem.kind === "denied" ? 10_000 : 1_000), signal);
      }
    }
  };

  const end = () => {
    running?.abort();
    running = undefined;
    on = undefined;
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
        guarded(place);
      }
      return {
        refresh: () => guarded(place),
        stop() {
          places.delete(place);
          if (places.size === 0) end();
        },
      };
    },
    close() {
      places.clear();
      end();
    },
  };
}

/** Reads a place; whatever a watch touches is read again, and everything is published together. */
function createReader(on: Connection, place: Place, live: () => boolean): Reader {
  const leaves = new Map<string, Leaf>();
  const watchers = new Map<string, Watcher>();
  const touched = new Set<string>();
  let reading: Promise<void> | undefined;

  const touch = (path: string) => {
    if (!live()) return;
    touched.add(path);
    pump().catch((error: unknown) => on.drop(coded("BACKEND_UNREACHABLE", error)));
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
      return pump();
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
