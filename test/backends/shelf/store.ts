// A store in this process for the backend of src/backends/README.md: small, and with all that the backend asks of one.
import type { Found, Step, Store } from "./shelf.ts";

/** A store that others may also be cut off from. */
export interface ShelfStore extends Store {
  /** Nobody reaches it, until it is `back`. */
  away(): void;
  back(): void;
  /** Loses everything. */
  wipe(): void;
}

/** An empty one. */
export function createStore(): ShelfStore {
  const keys = new Map<string, Found>();
  const sessions = new Map<string, { readonly ttl: number; timer: NodeJS.Timeout }>();
  const watchers = new Set<() => void>();
  let versions = 0;
  let isAway = false;

  const changed = () => {
    for (const watcher of watchers) queueMicrotask(watcher);
  };
  const reach = () => {
    if (isAway) throw new Error("the store is away");
  };
  const end = (session: string) => {
    clearTimeout(sessions.get(session)?.timer);
    sessions.delete(session);
    for (const [key, found] of keys) if (found.session === session) keys.delete(key);
    changed();
  };
  const arm = (session: string, ttl: number) => {
    clearTimeout(sessions.get(session)?.timer);
    sessions.set(session, { ttl, timer: setTimeout(() => end(session), ttl * 1000) });
  };

  return {
    async read(path) {
      reach();
      return new Map(
        [...keys].filter(([key]) => key === path || (path.endsWith("/") && key.startsWith(path))),
      );
    },
    async commit(steps: readonly Step[]) {
      reach();
      if (steps.some(({ key, seen }) => keys.get(key)?.version !== seen)) return false;
      if (steps.some(({ to }) => typeof to === "object" && to.session && !sessions.has(to.session)))
        return false;
      for (const { key, to } of steps) {
        versions += 1;
        if (to === "gone") keys.delete(key);
        else if (to) keys.set(key, { ...to, version: versions });
      }
      changed();
      return true;
    },
    async begin(ttl) {
      reach();
      versions += 1;
      const session = `session-${versions}`;
      arm(session, ttl);
      return session;
    },
    async beat(session) {
      reach();
      const found = sessions.get(session);
      if (found) arm(session, found.ttl);
      return found !== undefined;
    },
    async end(session) {
      reach();
      end(session);
    },
    watch(watcher) {
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },
    away() {
      isAway = true;
      changed();
    },
    back() {
      isAway = false;
      changed();
    },
    wipe() {
      for (const session of [...sessions.keys()]) end(session);
      keys.clear();
      changed();
    },
  };
}
