import { randomUUID } from "node:crypto";
import type { Backend, Lock } from "../backends/backend.ts";
import { giveUp, type HeldLock, keepLock } from "../held-lock.ts";
import type { HostTurns } from "./target.ts";

/** The locks of a backend; see `Backend.lock`. */
export type Locks = NonNullable<Backend["lock"]>;

/** One host's wish to be among those that may reload at once. */
export interface HostTurn {
  /**
   * Asks once for each slot until one is free. Undefined: it is ours, and stays it until the end; else the host that
   * has the last one. Rejects like `Lock.renew`, and may then have a slot all the same, until the end.
   */
  take(signal: AbortSignal): Promise<string | undefined>;
  /** Calls `freed` when a slot may have become free, or when that cannot be seen any more; from the first call on. */
  watch(freed: () => void): void;
  /** Gives everything up. Never rejects. */
  end(): Promise<void>;
}

/** Seconds that a slot lives without a beat: of a host that dies while it reloads. */
const ttl = 15;

/** A wish of this host for the locks `reload/<name>/1` to `reload/<name>/<atMost>`. Asks nothing yet. */
export function wishForTurn(lock: Locks, { name, atMost }: HostTurns, node: string): HostTurn {
  // Each wish is a contender of its own: targets of one process may have the same turns.
  const contender = `${node}:${process.pid}:${randomUUID()}`;
  const slots = Array.from({ length: atMost }, (_, n) => lock(`reload/${name}/${n + 1}`, contender, ttl));
  const asked = new Set<Lock>();
  let held: HeldLock | undefined;
  let watches: readonly ReturnType<Lock["watch"]>[] = [];

  return {
    async take(signal) {
      let holder = "";
      for (const slot of slots) {
        asked.add(slot);
        const tenure = await slot.renew(signal);
        if (tenure.held) {
          asked.delete(slot);
          held = keepLock(slot, tenure);
          return undefined;
        }
        holder = tenure.holder.replace(/:\d+:[^:]*$/, "");
      }
      return holder;
    },
    watch(freed) {
      if (watches.length > 0) return;
      watches = slots.map((slot) => slot.watch());
      for (const { current, subscribe } of watches) {
        const look = () => {
          const now = current();
          if (now.problem || (now.known && now.value === undefined)) freed();
        };
        subscribe(look);
        // It may have become free since it was asked.
        look();
      }
    },
    async end() {
      const closed = watches.map((watch) => watch.close());
      await Promise.all([held?.release(), ...[...asked].map(giveUp), ...closed]);
    },
  };
}
