import { monotonic, pause } from "../../clock.ts";
import { coded, PortolanError } from "../../errors.ts";
import type { Answer, ConsulApi, Question } from "./api.ts";
import { createPermits } from "./permits.ts";

/** Asks about the health of any number of services, through a bounded number of connections. */
export interface HealthQueries {
  /**
   * As `api.health`. With an index it resolves when the service has changed or, at times, when it has not; one call
   * a service at a time.
   */
  ask(service: string, question: Question, signal: AbortSignal): Promise<Answer>;
}

/**
 * Blocking queries at once. By default Consul hangs up on who has more than 200 connections, and counts all
 * programs of a host together.
 */
const places = 16;
/** Reads at once that are answered without delay. */
const parallel = 8;
/** ms between two rounds at least. */
const rest = 100;
/** Wakings without a change after which a round is made all the same, in case one went amiss. */
const idleRounds = 10;

/** One query for a service without a place. */
interface Parked {
  readonly index: number;
  /** The latest waking that is known to have left the service as it was. */
  seen: number;
  wake(): void;
  fail(error: unknown): void;
}

/**
 * A blocking query keeps a connection. So only as many services as there are places have one: those that changed
 * last. The others share two queries, which wake for every change of any service or check; then a round asks for
 * the index of each, with answers of a few bytes, and reads what has changed. What was found to have changed gets
 * the place of the service that did not change for longest.
 */
export function createHealthQueries(api: ConsulApi, limit = places): HealthQueries {
  /** The services that have a place, with how to lose it, and when each service changed last. */
  const held = new Map<string, () => void>();
  const changed = new Map<string, number>();
  const hot = new Set<string>();
  const parked = new Map<string, Parked>();
  const short = createPermits(parallel);
  /** How often something changed somewhere, or is thought to have. */
  let wakings = 0;
  let asking = 0;
  let isRound = false;
  let watched: AbortController | undefined;

  const read = (service: string, question: Question, signal: AbortSignal) =>
    short(async () => {
      const before = wakings;
      return { ...(await api.health(service, question, signal)), before };
    });

  /** Fails what is parked: it asks anew, as a query with a connection of its own would. */
  const failAll = (error: unknown) => {
    for (const [service, { fail }] of [...parked]) {
      parked.delete(service);
      fail(error);
    }
  };

  const round = async (): Promise<void> => {
    if (isRound) return;
    isRound = true;
    try {
      for (let due = overdue(); due.length > 0; due = overdue()) {
        const begun = monotonic();
        const at = wakings;
        await Promise.all(
          due.map(([service, one]) =>
            short(async () => {
              if (parked.get(service) !== one || !watched) return;
              const index = await api.healthIndex(service, watched.signal);
              if (index === one.index) one.seen = at;
              else if (parked.get(service) === one) {
                parked.delete(service);
                one.wake();
              }
            }),
          ),
        );
        // Under endless change half of the time is left to others.
        await pause(Math.max(rest, monotonic() - begun), watched?.signal);
      }
    } catch (error) {
      failAll(error);
    } finally {
      isRound = false;
    }
  };
  const overdue = () => [...parked].filter(([, { seen }]) => seen < wakings);

  /** Watches a table for as long as services are parked. */
  const watch = async (
    table: (question: Question, signal: AbortSignal) => Promise<Answer>,
    own: AbortController,
  ) => {
    let index = 0;
    for (let idle = 0; watched === own; ) {
      const answer = await table({ index, consistent: false }, own.signal);
      idle = answer.index === index ? idle + 1 : 0;
      index = Math.max(1, answer.index);
      if (idle > 0 && idle < idleRounds) continue;
      idle = 0;
      wakings += 1;
      void round();
    }
  };
  const startWatch = () => {
    if (watched) return;
    const own = new AbortController();
    watched = own;
    const ended = (error: unknown) => {
      if (watched !== own) return;
      watched = undefined;
      own.abort();
      failAll(error);
    };
    for (const table of [api.names, api.anyCheck]) watch(table, own).catch(ended);
  };
  const stopWatch = () => {
    watched?.abort();
    watched = undefined;
  };

  /** Waits without a connection until the service has changed, and reads it then. */
  const park = async (
    service: string,
    question: Question,
    seen: number,
    signal: AbortSignal,
  ): Promise<Answer> => {
    await new Promise<void>((resolve, reject) => {
      const cancelled = () => {
        parked.delete(service);
        reject(new PortolanError("ABORTED", "cancelled"));
      };
      if (signal.aborted) return cancelled();
      signal.addEventListener("abort", cancelled, { once: true });
      const settled = () => signal.removeEventListener("abort", cancelled);
      parked.set(service, {
        index: question.index,
        seen,
        wake: () => {
          settled();
          resolve();
        },
        fail: (error) => {
          settled();
          reject(coded("BACKEND_UNREACHABLE", error));
        },
      });
      startWatch();
      if (seen < wakings) void round();
    });
    hot.add(service);
    return note(service, question, await read(service, { ...question, index: 0 }, signal));
  };

  /** Waits with a connection of its own, until somebody needs it more. */
  const hold = async (service: string, question: Question, signal: AbortSignal): Promise<Answer> => {
    const own = new AbortController();
    const end = () => own.abort();
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    let isEvicted = false;
    held.set(service, () => {
      isEvicted = true;
      held.delete(service);
      end();
    });
    try {
      return note(service, question, await api.health(service, question, own.signal));
    } catch (error) {
      // What happened since nobody has seen.
      if (isEvicted && !signal.aborted) return park(service, question, -1, signal);
      throw error;
    } finally {
      signal.removeEventListener("abort", end);
      if (!isEvicted) held.delete(service);
    }
  };

  /** When a service was read last, by wakings. */
  const lastRead = new Map<string, number>();
  const note = (
    service: string,
    question: Question,
    { index, body, before }: Answer & { readonly before?: number },
  ) => {
    if (index !== question.index) changed.set(service, monotonic());
    lastRead.set(service, before ?? wakings);
    return { index, body };
  };

  const place = (service: string, question: Question, signal: AbortSignal): Promise<Answer> => {
    if (question.index === 0)
      return read(service, question, signal).then((answer) => note(service, question, answer));
    if (held.size >= limit && hot.has(service)) {
      const at = (name: string) => changed.get(name) ?? 0;
      const [coldest] = [...held.keys()].sort((a, b) => at(a) - at(b));
      if (coldest !== undefined) held.get(coldest)?.();
    }
    hot.delete(service);
    if (held.size < limit) return hold(service, question, signal);
    return park(service, question, lastRead.get(service) ?? -1, signal);
  };

  return {
    async ask(service, question, signal) {
      asking += 1;
      // Before the first of them is read: what changes between its reading and its parking is seen.
      if (asking > limit) startWatch();
      try {
        return await place(service, question, signal);
      } finally {
        asking -= 1;
        if (asking <= limit && parked.size === 0) stopWatch();
        if (signal.aborted) for (const map of [changed, lastRead]) map.delete(service);
      }
    },
  };
}
