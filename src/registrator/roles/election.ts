import { backoff, deadline, monotonic, pause } from "../../clock.ts";
import type { Finding } from "./standing.ts";

/** The part of a backend's lock that an election needs; see `Lock` in backends/backend.ts. */
export interface Ballot {
  renew(
    signal: AbortSignal,
  ): Promise<
    | { readonly held: true; readonly token: string; readonly ttl: number }
    | { readonly held: false; readonly holder: string }
  >;
  watch(): { subscribe(listener: () => void): () => void; close(): Promise<void> };
  release(signal: AbortSignal): Promise<void>;
}

/** What an election tells: the role, or why it is not known. A role with a problem beside it may be lost soon. */
export interface Verdict {
  readonly finding: Finding | undefined;
  readonly problem?: string;
}

/** The part of a lock's time to live that is left unused, because a demotion takes its time. */
const margin = 0.1;
/** ms that a release may take: the lock runs out by itself. */
const farewell = 2_000;

/**
 * Contends for a lock until `ended`: the holder is master, with the lock's token as the epoch of its claim, the
 * others are slaves. A holder that cannot renew in time ceases to be master before anybody else can be one, by this
 * process's own clock. `before` is what an earlier process published for this contender: it counts as long as the lock
 * is still held under that name. At the end the lock is given up, unless `keeps` says otherwise.
 */
export async function contend(
  ballot: Ballot,
  {
    contender,
    before,
    tell,
    keeps,
  }: {
    readonly contender: string;
    before(): Finding | undefined;
    tell(verdict: Verdict): void;
    /** Asked at the end. */
    keeps(): boolean;
  },
  ended: AbortSignal,
): Promise<void> {
  let nudge = () => {};
  const watching = ballot.watch();
  const unsubscribe = watching.subscribe(() => nudge());
  ended.addEventListener("abort", () => nudge(), { once: true });
  /** When the lock may be somebody else's, on this process's clock; undefined while it is not held. */
  let until: number | undefined;
  let finding: Finding | undefined;
  let failures = 0;
  let wait = 5_000;

  while (!ended.aborted) {
    // What changes from here on is a reason to ask again.
    const changed = new AbortController();
    nudge = () => changed.abort();
    const began = monotonic();
    const left = () => (until === undefined ? Number.POSITIVE_INFINITY : Math.max(0, until - monotonic()));
    try {
      const tenure = await ballot.renew(deadline(Math.min(wait, left()), ended));
      failures = 0;
      if (tenure.held) {
        until = began + tenure.ttl * 1000 * (1 - margin);
        wait = (tenure.ttl * 1000) / 3;
        finding = { role: "master", epoch: tenure.token };
        // The call itself may have taken longer than the lock lives.
        if (left() > 0) tell({ finding });
        else continue;
      } else {
        until = undefined;
        finding = (tenure.holder === contender ? before() : undefined) ?? { role: "slave" };
        tell({ finding });
      }
    } catch (error) {
      if (ended.aborted) break;
      failures += 1;
      // A slave stays one: whoever is master, it is not.
      if (left() === 0) finding = until = undefined;
      tell({ finding, problem: error instanceof Error ? error.message : String(error) });
    }
    const next = failures > 0 ? Math.min(200 + backoff(failures, 200, 2_000), left()) : wait;
    await pause(next, changed.signal);
  }
  unsubscribe();
  await watching.close();
  if (!keeps()) await ballot.release(deadline(farewell)).catch(() => {});
}
