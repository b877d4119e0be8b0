import { pause } from "../clock.ts";
import type { Instance } from "../instance.ts";

/** Writes to one backend, some of which may hang. */
export interface Hands {
  /**
   * Begins `write` for one item after another, and after as many as there are free hands only until it is
   * `over`. An item that must wait for a write in hand is left out; the answer says whether there was one.
   * Resolves when all that was begun has ended, or has been in hand for a while: it then goes on alone.
   */
  each(
    what: "removals" | "registrations",
    items: readonly Instance[],
    over: () => boolean,
    write: (item: Instance) => Promise<void>,
  ): Promise<{ readonly leftOut: boolean }>;
  /** True when no write is in hand. */
  empty(): boolean;
  /** Resolves when no write is in hand. */
  idle(): Promise<void>;
}

/** ms that the others wait for a write: it hangs when it takes much longer than a store in good health. */
const patience = 100;

/** An address must not be offered under two names, nor a container: what removes it goes first. */
export function goesFirst(removal: Instance, next: Instance): boolean {
  return (
    removal.id === next.id ||
    (removal.container !== undefined && removal.container.id === next.container?.id) ||
    (removal.address === next.address && removal.port === next.port)
  );
}

/** At most `limit` writes at once, and one for each id. `write` must not reject. */
export function createHands(limit: number): Hands {
  const inHand = new Map<Promise<void>, { readonly item: Instance; readonly removal: boolean }>();
  const mustWait = (next: Instance) =>
    [...inHand.values()].some(
      ({ item, removal }) => item.id === next.id || (removal && goesFirst(item, next)),
    );
  const begin = (item: Instance, removal: boolean, write: (item: Instance) => Promise<void>) => {
    const work: Promise<void> = write(item).finally(() => inHand.delete(work));
    inHand.set(work, { item, removal });
    return work;
  };

  return {
    async each(what, items, over, write) {
      const removal = what === "removals";
      const begun: Promise<void>[] = [];
      const free = limit - inHand.size;
      let leftOut = false;
      for (const item of items) {
        while (inHand.size >= limit) await Promise.race(inHand.keys());
        if (begun.length >= free && over()) break;
        if (!removal && mustWait(item)) leftOut = true;
        else if ([...inHand.values()].some((other) => other.item.id === item.id)) leftOut = true;
        else begun.push(begin(item, removal, write));
      }
      const ended = new AbortController();
      void Promise.all(begun).then(() => ended.abort());
      if (begun.length > 0) await pause(patience, ended.signal);
      return { leftOut };
    },
    empty: () => inHand.size === 0,
    async idle() {
      while (inHand.size > 0) await Promise.race(inHand.keys());
    },
  };
}
