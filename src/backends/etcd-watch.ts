import { backoff, monotonic, pause } from "../clock.ts";
import { coded } from "../errors.ts";
import type { Problem } from "../source.ts";
import type { Interest, Observation } from "./backend.ts";
import type { EtcdClient } from "./etcd-client.ts";
import type { Layout } from "./layouts/layout.ts";
import { createObservers } from "./observers.ts";
import { createRecords } from "./records.ts";

/** Milliseconds after which a watch counts as having worked, so that the next retry is quick again. */
const steady = 5_000;

/** The watch of one backend. */
export interface EtcdWatch {
  observe(interest: Interest): Observation;
  /** Ends all observations. */
  close(): void;
}

/**
 * Watches everything below `services` once for all observations: one range at revision R, then the watch from
 * R+1. Whatever breaks it (a lost connection, a cancel, a compaction) ends in a new range and a new watch,
 * with a problem shown in between: a reader must know that it did not see what happened meanwhile.
 */
export function createEtcdWatch(
  client: EtcdClient,
  { services, read }: Pick<Layout, "services" | "read">,
): EtcdWatch {
  const prefix = `${services}/`;
  const records = createRecords(read);
  let revision = 0n;
  let running = new AbortController();
  /** Of the range and watch that are in force. */
  let round = new AbortController();
  let reading = false;

  const observers = createObservers(records, {
    start() {
      running = new AbortController();
      revision = 0n;
      void follow(running.signal);
    },
    stop: () => running.abort(),
    refresh: () => void reread(round),
  });

  const list = async (signal: AbortSignal) => {
    const answer = await client.list(prefix, signal);
    if (signal.aborted) throw signal.reason;
    return answer;
  };
  const show = ({ revision: at, entries }: Awaited<ReturnType<typeof list>>) => {
    revision = at;
    records.replace(entries.map(({ key, text }) => [key, text] as const));
    observers.publish();
  };

  const follow = async (signal: AbortSignal) => {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const since = monotonic();
      round = new AbortController();
      const endRound = () => round.abort(signal.reason);
      signal.addEventListener("abort", endRound, { once: true });
      try {
        let answer = await list(round.signal);
        // An older revision than before: asked once more, it is a store that was restored or made anew.
        if (answer.revision < revision) answer = await list(round.signal);
        show(answer);
        await client.watch(prefix, revision + 1n, accept, round.signal);
      } catch (error) {
        if (signal.aborted) return;
        const problem = problemOf(round.signal.aborted ? round.signal.reason : error);
        observers.fail(problem);
        if (monotonic() - since > steady) attempt = 0;
        // A server that comes back is noticed within a second; refused credentials do not mend that soon.
        await pause(backoff(attempt, 100, problem.kind === "denied" ? 10_000 : 1_000), signal);
      } finally {
        signal.removeEventListener("abort", endRound);
        endRound();
      }
    }
  };

  const accept: Parameters<EtcdClient["watch"]>[2] = (changes, upTo) => {
    let changed = false;
    for (const change of changes) {
      // A full read overtook it.
      if (change.revision <= revision) continue;
      changed = true;
      if (change.text === undefined) records.delete(change.key);
      else records.put(change.key, change.text);
    }
    const last = changes.at(-1)?.revision ?? upTo;
    if (last > revision) revision = last;
    if (changed) observers.publish();
  };

  /** Reads everything while the watch goes on. A read that fails ends the watch too: something is wrong. */
  const reread = async (of: AbortController) => {
    if (reading) return;
    reading = true;
    try {
      const answer = await list(of.signal);
      // Older only when the watch was quicker than the answer.
      if (of === round && answer.revision >= revision) show(answer);
    } catch (error) {
      of.abort(error);
    } finally {
      reading = false;
    }
  };

  return observers;
}

function problemOf(cause: unknown): Problem {
  const error = coded("BACKEND_UNREACHABLE", cause);
  return { kind: error.code === "BACKEND_DENIED" ? "denied" : "unreachable", error };
}
