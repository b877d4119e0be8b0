import { backoff, pause } from "../../clock.ts";
import { encodeSegment, type Instance } from "../../instance.ts";
import type { Interest, Observation } from "../backend.ts";
import type { Layout } from "../layouts/layout.ts";
import { createObservers } from "../observers.ts";
import { problemOf } from "../problem.ts";
import { inOrder, shareSnapshot } from "../records.ts";
import type { Connection } from "./connection.ts";
import { createTree, type Tree, type Wanted } from "./tree.ts";

const none: readonly Instance[] = [];

/** The watch of one backend. */
export interface ZookeeperWatch {
  observe(interest: Interest): Observation;
  /** Ends all observations. */
  close(): void;
}

/**
 * Watches the services below `services` that somebody wants, once for all observations. Each connection has a
 * session of its own and reads everything from the start, after it has caught up with the leader, so that no
 * server can show an older world than the one before; a problem is shown until it has read all of it.
 */
export function createZookeeperWatch(
  connect: (signal: AbortSignal) => Promise<Connection>,
  { services: root, read }: Pick<Layout, "services" | "read">,
): ZookeeperWatch {
  const interests = new Set<{ interest: Interest }>();
  let running = new AbortController();
  /** The tree that is shown, and the one that will be once it has been read. */
  let tree: Tree | undefined;
  let coming: Tree | undefined;

  const observers = createObservers(
    {
      snapshot(previous) {
        const lists: (readonly [string, readonly Instance[]])[] = [];
        const invalid = new Map<string, string>();
        for (const snapshot of tree?.shown() ?? []) {
          lists.push(...snapshot.services);
          for (const [key, reason] of snapshot.invalid) invalid.set(key, reason);
        }
        const complete = tree?.listed() ?? false;
        if (!complete) {
          for (const name of wantedNames()) {
            const snapshot = tree?.service(encodeSegment(name));
            if (snapshot && !snapshot.services.has(name)) lists.push([name, none]);
          }
        }
        return shareSnapshot(previous, { services: inOrder(lists), complete, invalid });
      },
    },
    {
      start() {
        running = new AbortController();
        void follow(running.signal);
      },
      stop() {
        running.abort();
        tree = undefined;
        coming = undefined;
      },
      refresh: () => tree?.refresh(),
    },
  );

  const wantedNames = () => {
    const names = new Set<string>();
    for (const { interest } of interests) {
      if (interest.services !== "all") for (const name of interest.services) names.add(name);
    }
    return names;
  };
  const wanted = (): Wanted => ({
    all: [...interests].some(({ interest }) => interest.services === "all"),
    names: new Set([...wantedNames()].map(encodeSegment)),
  });
  /** Reads what is wanted now. A read that fails is told by the connection. */
  const adjust = () => {
    for (const one of new Set([tree, coming])) one?.want(wanted()).catch(() => {});
  };

  const follow = async (signal: AbortSignal) => {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        const on = await connect(signal);
        const lost = new Promise<never>((_resolve, reject) => {
          on.gone.addEventListener("abort", () => reject(on.gone.reason), { once: true });
        });
        lost.catch(() => {});
        await on.catchUp();
        const next: Tree = createTree(on, { root, read }, tree?.records() ?? new Map(), () => {
          if (tree === next) observers.publish();
        });
        coming = next;
        await Promise.race([next.want(wanted()), lost]);
        tree = next;
        attempt = 0;
        observers.publish();
        await lost;
      } catch (error) {
        coming = undefined;
        if (signal.aborted) return;
        const problem = problemOf(error);
        observers.fail(problem);
        // A server that comes back is noticed within a second; a refused right does not mend that soon.
        await pause(backoff(attempt, 100, problem.kind === "denied" ? 10_000 : 1_000), signal);
      }
    }
  };

  return {
    observe(interest) {
      const token = { interest };
      interests.add(token);
      const observation = observers.observe(interest);
      adjust();
      return {
        ...observation,
        want(next) {
          token.interest = next;
          observation.want(next);
          adjust();
        },
        async close() {
          interests.delete(token);
          await observation.close();
          adjust();
        },
      };
    },
    close: observers.close,
  };
}
