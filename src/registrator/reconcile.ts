import { type Backend, type Lease, type Owner, ownerText } from "../backends/backend.ts";
import { after, deadline } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import { encodeInstance, type Instance, refKey, sameInstance } from "../instance.ts";
import type { Log } from "../log.ts";
import { controlLoop } from "../loop.ts";
import { plan } from "./plan.ts";

/** What one backend is kept equal to. */
export interface Wish {
  readonly owner: Owner;
  readonly instances: readonly Instance[];
  /** Containers that run, but of which nobody knows what they should be: their records stay as they are. */
  readonly unread: ReadonlyMap<string, string>;
}

/** How a backend is kept equal to the wish. */
export interface ReconcileOptions {
  readonly backend: Backend;
  /** The wish of now; undefined as long as Docker has not answered, in which case nothing is touched. */
  wish(): Wish | undefined;
  readonly ttlSeconds: number;
  /** ms between two reads of what the backend holds. */
  readonly resync: number;
  readonly log: Log;
  /** Called whenever the outcome of `state` may have changed. */
  changed(): void;
}

/** One backend being kept equal to the wish, by a loop that writes and a loop that beats. */
export interface Reconciler {
  /** The wish has changed. */
  nudge(): void;
  /** Read again what the backend holds. */
  refresh(): void;
  /** Why the backend is not known to be equal to the wish; undefined when it is. */
  notReady(): string | undefined;
  status(): unknown;
  /** `deregister` removes all own records; `keep` lets them live until the lease runs out. */
  stop(onExit: "keep" | "deregister"): Promise<void>;
}

/** Writes in flight at once. */
const parallel = 16;
/** ms that a stop may take: what is in hand is finished, and the lease released if so wished. */
const leaveWithin = 4000;
/** Answers of a backend that works. After any other one a write may or may not have happened. */
const refusals: readonly string[] = ["NOT_OWNER", "RECORD", "BACKEND_DENIED"];
/** The lease is not ours, or not any more. */
const losses: readonly string[] = ["LEASE_LOST", "SUPERSEDED", "NODE_TAKEN"];

/** Keeps one backend equal to the wish. */
export function reconcile(options: ReconcileOptions): Reconciler {
  const { backend, log } = options;
  const place = { backend: backend.title };
  let lease: { readonly owner: string; readonly held: Lease } | undefined;
  let joined = false;
  /** What the backend holds of ours as last read, with our writes since. */
  let actual = new Map<string, Instance>();
  /** True when something may have happened to it that we do not know of. */
  let stale = true;
  /** True when the wish or the world changed since the pass in hand began: another one follows. */
  let overtaken = false;
  /** Records that the backend could only hold in part, as they were wanted. */
  const partial = new Map<string, string>();
  /** What keeps each loop from its end. */
  const problems: { beat: string | undefined; writes: string | undefined } = {
    beat: undefined,
    writes: "waits for Docker",
  };
  /** Aborts writes in hand, some time after the loops have been stopped. */
  const leaving = new AbortController();
  let cancelBeat = () => {};
  let cancelResync = () => {};

  const setProblem = (of: keyof typeof problems, next: string | undefined) => {
    if (next === problems[of]) return;
    problems[of] = next;
    options.changed();
  };
  const failed = (of: keyof typeof problems, error: unknown, retryIn: number) => {
    const code = codeOf(error);
    const news = `${code}: ${error instanceof Error ? error.message : String(error)}`;
    const level = news === problems[of] ? "debug" : "error";
    log[level](
      { ...place, err: error, retryInMs: Math.round(retryIn) },
      of === "beat" ? "no heartbeat; trying again" : "backend is not up to date; trying again",
    );
    if (losses.includes(code)) {
      joined = false;
      stale = true;
    }
    setProblem(of, news);
  };

  const beat = controlLoop({
    // A backend that comes back must not see the lease run out while we wait for the next try.
    retryCap: Math.min(10_000, (options.ttlSeconds * 1000) / 4),
    async pass({ signal }) {
      cancelBeat();
      const wish = options.wish();
      if (!wish) return undefined;
      const owner = ownerText(wish.owner);
      if (lease && lease.owner !== owner) {
        // The host has another name now, or another Docker: nobody would keep the records under the old one.
        joined = false;
        await lease.held.release(signal);
        lease = undefined;
      }
      lease ??= { owner, held: backend.lease(wish.owner, options.ttlSeconds) };
      const { ttl, fresh } = await lease.held.renew(signal);
      cancelBeat = after((ttl * 1000) / 3, beat.nudge);
      setProblem("beat", undefined);
      if (fresh) {
        log.info({ ...place, node: wish.owner.node, ttl }, "took the host's lease");
        stale = true;
      }
      if (!joined || fresh || problems.writes !== undefined) {
        joined = true;
        nudgeWrites();
      }
      return undefined;
    },
    failed: (error, retryIn) => failed("beat", error, retryIn),
  });

  const writes = controlLoop({
    async pass({ signal }) {
      overtaken = false;
      const wish = options.wish();
      if (!wish) return undefined;
      if (!joined || lease?.owner !== ownerText(wish.owner)) {
        beat.nudge();
        return undefined;
      }
      const { held } = lease;
      if (stale) await readOwned(held, wish, signal);
      const now = actual;
      const due = plan(wish.instances, now, wish.unread);
      const errors: unknown[] = [];
      let unsure = false;
      /** A wish that has changed, a stop, and a backend that fails end the pass before its end. */
      const over = () => unsure || signal.aborted || overtaken;
      const each = <T>(items: readonly T[], write: (item: T) => Promise<void>) =>
        inParallel(items, over, async (item) => {
          try {
            await write(item);
          } catch (error) {
            errors.push(error);
            if (!refusals.includes(codeOf(error))) unsure = true;
          }
        });
      await each(due.deregister, async (ref) => {
        await held.deregister(ref, leaving.signal);
        now.delete(refKey(ref));
        partial.delete(refKey(ref));
        log.info({ ...place, service: ref.service, id: ref.id }, "deregistered");
      });
      await each(due.register, async (instance) => {
        const { leftOut } = await held.register(instance, leaving.signal);
        now.set(refKey(instance), instance);
        const { service, id, address, port, state } = instance;
        log.info({ ...place, service, id, address, port, state }, "registered");
        if (leftOut.length === 0) partial.delete(refKey(instance));
        else {
          partial.set(refKey(instance), encodeInstance(instance));
          log.warn({ ...place, service, id, leftOut }, "the backend cannot hold all attributes");
        }
      });
      if (unsure) stale = true;
      if (errors.length > 0) throw worst(errors);
      if (!over()) setProblem("writes", undefined);
      return undefined;
    },
    failed(error, retryIn) {
      failed("writes", error, retryIn);
      if (!joined) beat.nudge();
    },
  });

  const readOwned = async (from: Lease, wish: Wish, signal: AbortSignal) => {
    cancelResync();
    // Before the read: what is lost while it runs has to be read again.
    stale = false;
    try {
      const owned = await from.owned(signal);
      actual = new Map(owned.map((instance) => [refKey(instance), instance]));
    } catch (error) {
      stale = true;
      throw error;
    }
    const wanted = new Map(wish.instances.map((instance) => [refKey(instance), instance]));
    // The very object that is wanted, where they are equal, so that a pass need not compare them again.
    for (const [key, held] of actual) {
      const instance = wanted.get(key);
      if (instance && sameInstance(held, instance)) actual.set(key, instance);
    }
    for (const [key, text] of partial) {
      const instance = wanted.get(key);
      const held = actual.get(key);
      if (!instance || !held) partial.delete(key);
      // What the backend cannot hold must not be written again at every read.
      else if (text === encodeInstance(instance)) {
        if (sameInstance({ ...held, meta: {} }, { ...instance, meta: {} })) actual.set(key, instance);
      }
    }
    cancelResync = after(options.resync * (0.9 + Math.random() * 0.2), refresh);
  };
  const nudgeWrites = () => {
    overtaken = true;
    writes.nudge();
  };
  const refresh = () => {
    stale = true;
    nudgeWrites();
  };

  return {
    nudge: () => (joined ? nudgeWrites() : beat.nudge()),
    refresh,
    notReady() {
      const problem = problems.beat ?? problems.writes;
      return problem === undefined ? undefined : `${backend.title}: ${problem}`;
    },
    status: () => ({
      backend: backend.title,
      joined,
      problem: problems.beat ?? problems.writes,
      held: [...actual.values()],
    }),
    async stop(onExit) {
      const end = deadline(leaveWithin);
      end.addEventListener("abort", () => leaving.abort(end.reason), { once: true });
      cancelBeat();
      cancelResync();
      await Promise.all([beat.stop(), writes.stop()]);
      cancelBeat();
      cancelResync();
      if (onExit === "deregister" && joined && lease) {
        await lease.held.release(end).catch((error: unknown) => {
          log.error(
            { ...place, err: error },
            "could not deregister at exit; the records expire with the lease",
          );
        });
      }
    },
  };
}

function codeOf(error: unknown): string {
  return error instanceof PortolanError ? error.code : "FAILED";
}

/** An error that asks for a new lease goes before the others, since it explains them. */
function worst(errors: readonly unknown[]): unknown {
  return errors.find((error) => losses.includes(codeOf(error))) ?? errors[0];
}

/** Begins no further item once it is `over`, but does one for each worker in any case, so that all get on. */
async function inParallel<T>(
  items: readonly T[],
  over: () => boolean,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) {
      await work(item);
      if (over()) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, worker));
}
