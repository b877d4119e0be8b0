import { backoff, deadline, monotonic, pause } from "../../clock.ts";
import { beginPromotion, type Promote, type Promotion, promoted } from "./promotion.ts";
import type { Finding } from "./standing.ts";

/** The part of a backend's lock that an election needs; see `Lock` in backends/backend.ts. */
export interface Ballot {
  renew(
    signal: AbortSignal,
  ): Promise<
    | { readonly held: true; readonly token: string; readonly follows?: string; readonly ttl: number }
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
/** ms between a promotion that failed and the next time to contend, at least: others are to have their turn. */
const penance = 1_000;

/** Who contends, and what it wants to know of that. */
export interface Candidate {
  /** What is published for it now. */
  before(): Finding | undefined;
  tell(verdict: Verdict): void;
  /** Whether the lock is left to run out at the end, asked then. */
  keeps(): boolean;
  /** What has to be done once for each token before its holder is master. Nothing when absent. */
  readonly promote?: Promote | undefined;
}

/**
 * Contends for a lock until `ended`: the holder is master, with the lock's token as the epoch of its claim, the
 * others are slaves. A holder that cannot renew in time ceases to be master before anybody else can be one, by this
 * process's own clock. `before` is what an earlier process published for this contender: until the store has answered
 * for the first time it is not taken back, and a lock that still stands under this name is taken over. At the end the lock is given up, unless `keeps` says otherwise.
 *
 * With `promote` the holder is master once that is done, and a slave until then. It runs once for each token, but not
 * for the first one of a process that has kept the role of the one before it. Where it fails, the lock is given up,
 * and so it is when `promote` was cancelled: after that has ended.
 */
export async function contend(
  ballot: Ballot,
  { before, tell, keeps, promote }: Candidate,
  ended: AbortSignal,
): Promise<void> {
  let nudge = () => {};
  const watching = ballot.watch();
  const unsubscribe = watching.subscribe(() => nudge());
  ended.addEventListener("abort", () => nudge(), { once: true });
  /** When the lock may be somebody else's, on this process's clock; undefined while it is not held. */
  let until: number | undefined;
  let finding = before();
  /** Of the token that is held, or was held last. */
  let promotion: Promotion | undefined;
  /** What the holding that began last took over. */
  let follows: string | undefined;
  let failures = 0;
  let refusals = 0;
  let wait = 5_000;

  const begin = async (token: string): Promise<Promotion> => {
    await promotion?.end();
    const { role, epoch } = before() ?? {};
    const isKept = role === "master" && epoch !== undefined && [token, follows].includes(epoch);
    return promote === undefined || isKept ? promoted(token) : beginPromotion(token, promote, () => nudge());
  };
  /** What is under way for a lock that is lost is done again when it is won again. */
  const cancel = async () => {
    if (promotion?.outcome() !== undefined) return;
    await promotion?.end();
    promotion = undefined;
  };

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
        follows = tenure.follows ?? follows;
        until = began + tenure.ttl * 1000 * (1 - margin);
        wait = (tenure.ttl * 1000) / 3;
        // The call itself may have taken longer than the lock lives.
        if (left() === 0) continue;
        if (promotion?.token !== tenure.token) promotion = await begin(tenure.token);
        const outcome = promotion.outcome();
        finding = outcome === "done" ? { role: "master", epoch: tenure.token } : { role: "slave" };
        if (outcome === undefined || outcome === "done") {
          tell({ finding });
          if (outcome === "done") refusals = 0;
        } else {
          finding = until = undefined;
          tell({ finding, problem: outcome.problem });
          await ballot.release(deadline(farewell, ended)).catch(() => {});
          refusals += 1;
          await pause(penance + backoff(refusals, penance, 30_000), ended);
          continue;
        }
      } else {
        until = undefined;
        finding = { role: "slave" };
        tell({ finding });
        await cancel();
      }
    } catch (error) {
      if (ended.aborted) break;
      failures += 1;
      // A slave stays one: whoever is master, it is not.
      if (left() === 0) finding = until = undefined;
      tell({ finding, problem: error instanceof Error ? error.message : String(error) });
      if (until === undefined) await cancel();
    }
    const next = failures > 0 ? Math.min(200 + backoff(failures, 200, 2_000), left()) : wait;
    await pause(next, changed.signal);
  }
  unsubscribe();
  await watching.close();
  await promotion?.end();
  if (!keeps()) await ballot.release(deadline(farewell)).catch(() => {});
}
