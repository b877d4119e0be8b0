import { backoff, monotonic, pause } from "../../clock.ts";
import type { Problem } from "../../source.ts";
import { problemOf } from "../problem.ts";
import type { EtcdClient } from "./client.ts";

/** Milliseconds after which a watch counts as having worked, so that the next retry is quick again. */
const steady = 5_000;

/** Texts by key as the server has them, and whom to tell. */
export interface Mirror {
  /** Makes `entries` all there is. */
  replace(entries: Iterable<readonly [key: string, text: string]>): void;
  put(key: string, text: string): void;
  delete(key: string): void;
  /** What it holds is complete, and as new as it gets. */
  publish(): void;
  /** It may be stale. */
  fail(problem: Problem): void;
}

/** A mirror being kept equal. */
export interface Following {
  /** Reads everything again soon. */
  refresh(): void;
  stop(): void;
}

/** Begins to follow what stands below a prefix, which ends in a slash, or one key. */
export type Follow = (place: string, mirror: Mirror) => Following;

/** Begins followings of one connection, and stops all that were not stopped with it. */
export function createFollowings(client: EtcdClient): { readonly follow: Follow; stop(): void } {
  const begun = new Set<Following>();
  return {
    follow(place, mirror) {
      const following = followEtcd(client, place, mirror);
      begun.add(following);
      return {
        refresh: following.refresh,
        stop() {
          begun.delete(following);
          following.stop();
        },
      };
    },
    stop() {
      for (const following of begun) following.stop();
      begun.clear();
    },
  };
}

/**
 * Keeps a mirror equal to what stands below a prefix, which ends in a slash, or to one key: one range at revision
 * R, then the watch from R+1. Whatever breaks it (a lost connection, a cancel, a compaction) ends in a new range and
 * a new watch, with a problem shown in between: a reader must know that it did not see what happened meanwhile.
 */
function followEtcd(client: EtcdClient, place: string, mirror: Mirror): Following {
  let revision = 0n;
  const running = new AbortController();
  /** Of the range and watch that are in force. */
  let round = new AbortController();
  let reading = false;

  const list = async (signal: AbortSignal) => {
    const answer = await client.list(place, signal);
    if (signal.aborted) throw signal.reason;
    return answer;
  };
  const show = ({ revision: at, entries }: Awaited<ReturnType<typeof list>>) => {
    revision = at;
    mirror.replace(entries.map(({ key, text }) => [key, text] as const));
    mirror.publish();
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
        await client.watch(place, revision + 1n, accept, round.signal);
      } catch (error) {
        if (signal.aborted) return;
        const problem = problemOf(round.signal.aborted ? round.signal.reason : error);
        mirror.fail(problem);
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
      if (change.text === undefined) mirror.delete(change.key);
      else mirror.put(change.key, change.text);
    }
    const last = changes.at(-1)?.revision ?? upTo;
    if (last > revision) revision = last;
    if (changed) mirror.publish();
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

  void follow(running.signal);
  return { refresh: () => void reread(round), stop: () => running.abort() };
}
