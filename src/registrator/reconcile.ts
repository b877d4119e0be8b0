import { type Backend, type Lease, type LeaseOptions, type Owner, ownerText } from "../backends/backend.ts";
import { after, deadline } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import { encodeInstance, type Instance, refKey, sameInstance } from "../instance.ts";
import type { Log } from "../log.ts";
import { controlLoop } from "../loop.ts";
import { createHands } from "./hands.ts";
import { type Fate, plan } from "./plan.ts";

/** What one backend is kept equal to. */
export interface Wish {
  readonly owner: Owner;
  readonly instances: readonly Instance[];
  /** What is known of the container of a record that is not wanted. */
  fate(container: string | undefined): Fate;
}

/** How a backend is kept equal to the wish. */
export interface ReconcileOptions {
  readonly backend: Backend;
  /** The wish of now; undefined as long as Docker has not answered, in which case nothing is touched. */
  wish(): Wish | undefined;
  /** Told of the records of an earlier run, and of those whose container is unknown; the wish may change by it. */
  recall(records: readonly Instance[]): void;
  readonly lease: LeaseOptions;
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
  /** Counts beginnings and ends of reads of what is held. */
  let reads = 0;
  /** True when the wish or the world changed since the pass in hand began: another one follows. */
  let overtaken = false;
  /** Records that the backend could only hold in part, as they were wanted. */
  const partial = new Map<string, string>();
  /** Instances whose checks this backend has no use for, and the same without them. */
  const unchecked = new WeakMap<Instance, Instance>();
  const toldUnchecked = new Set<string>();
  const toldAdopted = new Set<string>();
  /** False until the records of an earlier run have been read. */
  let recalled = false;
  /** Writes in hand. One that hangs outlasts its pass, and the others do not wait for it. */
  const hands = createHands(parallel);
  /** What went wrong in writes that outlasted their pass. */
  let lateErrors: unknown[] = [];
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
    retryCap: options.ttlSeconds > 0 ? Math.min(10_000, (options.ttlSeconds * 1000) / 4) : 10_000,
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
        recalled = false;
      }
      lease ??= { owner, held: backend.lease(wish.owner, options.ttlSeconds, options.lease) };
      const { ttl, fresh } = await lease.held.renew(signal);
      if (ttl > 0) cancelBeat = after((ttl * 1000) / 3, beat.nudge);
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
      if (lateErrors.length > 0) {
        const errors = lateErrors;
        lateErrors = [];
        throw worst(errors);
      }
      if (stale) await readOwned(held, wish, signal);
      await apply(held, options.wish() ?? wish, signal);
      return undefined;
    },
    failed(error, retryIn) {
      failed("writes", error, retryIn);
      if (!joined) beat.nudge();
    },
  });

  const apply = async (held: Lease, wish: Wish, signal: AbortSignal) => {
    const due = plan(wantedOf(wish), actual, wish.fate);
    if (due.unknown.size > 0) {
      const of = ({ container }: Instance) => container !== undefined && due.unknown.has(container.id);
      options.recall([...actual.values()].filter(of));
    }
    const errors: unknown[] = [];
    let unsure = false;
    let passed = false;
    let leftOut = false;
    /** A wish that has changed, a stop, and a backend that fails end the pass before its end. */
    const over = () => unsure || signal.aborted || overtaken;
    const attempt = async (write: () => Promise<() => void>) => {
      const readsBefore = reads;
      try {
        const written = await write();
        if (lease?.held === held) written();
        // It is not known whether a read that happened meanwhile has seen it.
        if (reads !== readsBefore) stale = true;
      } catch (error) {
        (passed ? lateErrors : errors).push(error);
        if (!refusals.includes(codeOf(error))) {
          unsure = true;
          stale = true;
        }
      }
      if (passed || leftOut) nudgeWrites();
    };
    const removals = await hands.each("removals", due.deregister, over, (instance) =>
      attempt(async () => {
        await held.deregister(instance, leaving.signal);
        log.info({ ...place, service: instance.service, id: instance.id }, "deregistered");
        return () => {
          actual.delete(refKey(instance));
          partial.delete(refKey(instance));
        };
      }),
    );
    leftOut ||= removals.leftOut;
    const registrations = await hands.each("registrations", due.register, over, (instance) =>
      attempt(async () => {
        const { leftOut } = await held.register(instance, leaving.signal);
        const { service, id, address, port, state } = instance;
        log.info({ ...place, service, id, address, port, state }, "registered");
        if (leftOut.length > 0) {
          log.warn({ ...place, service, id, leftOut }, "the backend cannot hold all attributes");
        }
        return () => {
          actual.set(refKey(instance), instance);
          if (leftOut.length === 0) partial.delete(refKey(instance));
          else partial.set(refKey(instance), encodeInstance(instance));
        };
      }),
    );
    leftOut ||= registrations.leftOut;
    passed = true;
    if (errors.length > 0) throw worst(errors);
    if (leftOut && hands.empty()) nudgeWrites();
    if (!over() && hands.empty() && due.unknown.size === 0) setProblem("writes", undefined);
  };

  /** What this backend should hold: the wish, without checks where it has no use for them. */
  const wantedOf = ({ instances }: Wish): readonly Instance[] =>
    backend.capabilities.checks ? instances : instances.map(withoutChecks);
  const withoutChecks = (instance: Instance): Instance => {
    if (!instance.checks) return instance;
    const before = unchecked.get(instance);
    if (before) return before;
    const { checks, ...rest } = instance;
    unchecked.set(instance, rest);
    const { service, id } = instance;
    const key = refKey(instance);
    if (!toldUnchecked.has(key)) {
      toldUnchecked.add(key);
      log.warn(
        { ...place, service, id, checks: Object.keys(checks) },
        "registered without its checks: this backend checks nothing",
      );
    }
    return rest;
  };

  const readOwned = async (from: Lease, wish: Wish, signal: AbortSignal) => {
    cancelResync();
    // Before the read: what is lost while it runs has to be read again.
    stale = false;
    reads += 1;
    try {
      const owned = await from.owned(signal);
      actual = new Map(owned.map((instance) => [refKey(instance), instance]));
    } catch (error) {
      stale = true;
      throw error;
    } finally {
      reads += 1;
    }
    if (!recalled) options.recall([...actual.values()]);
    recalled = true;
    for (const { id, service, owner } of actual.values()) {
      if (owner !== undefined || toldAdopted.has(id)) continue;
      toldAdopted.add(id);
      log.info({ ...place, service, id }, "adopted: another registrator has left this record");
    }
    const wanted = new Map(wantedOf(wish).map((instance) => [refKey(instance), instance]));
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
      await hands.idle();
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
