import { type Backend, type Lease, type LeaseOptions, type Owner, ownerText } from "../backends/backend.ts";
import { after, deadline, monotonic } from "../clock.ts";
import type { BackendStatus } from "../daemon-status.ts";
import { encodeInstance, type Instance, refKey, sameInstance } from "../instance.ts";
import type { Log } from "../log.ts";
import { controlLoop } from "../loop.ts";
import { type Meter, unmeasured } from "../meter.ts";
import { createHands, goesFirst } from "./hands.ts";
import { createHostLease, type OwnerMemory } from "./host-lease.ts";
import { type Fate, plan } from "./plan.ts";
import { statusRecord } from "./status-record.ts";
import { createTally } from "./tally.ts";
import { codeOf, isLoss, isRefusal, worst } from "./write-errors.ts";

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
  readonly memory?: OwnerMemory;
  readonly ttlSeconds: number;
  /** ms between two reads of what the backend holds. */
  readonly resync: number;
  readonly log: Log;
  readonly meter?: Meter;
  /** Called whenever the outcome of `state` may have changed. */
  changed(): void;
}

/** One backend being kept equal to the wish, by a loop that writes and a loop that beats. */
export interface Reconciler {
  /** The wish has changed. */
  nudge(): void;
  /** Read again what the backend holds. */
  refresh(): void;
  /** Whether the host's lease is held there. */
  joined(): boolean;
  /** Why the backend is not known to be equal to the wish; undefined when it is. */
  notReady(): string | undefined;
  status(): BackendStatus;
  /** `deregister` removes all own records; `keep` lets them live until the lease runs out. */
  stop(onExit: "keep" | "deregister"): Promise<void>;
}

/** Writes in flight at once. */
const parallel = 16;
/** ms that a stop may take. */
const leaveWithin = 4000;
/** ms that writes in hand have to end in a stop that removes everything after them: one that hangs must not prevent that. */
const finishWithin = 2000;
/** Different errors of one outage that are worth a line at most. */
const mostTold = 10;
/** What is said of heartbeats that never were. */
const notJoined = "nothing can be registered yet";
/** ms until it is asked again what should be held, where nobody could tell: the host's address changes unannounced. */
const askAgain = 1000;

/** Keeps one backend equal to the wish. */
export function reconcile(options: ReconcileOptions): Reconciler {
  const { backend, log, meter = unmeasured } = options;
  const place = { backend: backend.title };
  const tally = createTally(backend.title, meter);
  const lease = createHostLease(backend, options.ttlSeconds, options.lease, options.memory);
  /** The wish that the writes last went by. */
  let followed: Wish | undefined;
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
  let toldAdopted = new Set<string>();
  /** The owner whose records of earlier runs have been read. */
  let recalled: string | undefined;
  /** Writes in hand. One that hangs outlasts its pass, and the others do not wait for it. */
  const hands = createHands(parallel);
  /** What went wrong in writes that outlasted their pass. */
  let lateErrors: unknown[] = [];
  /** What keeps each loop from its end. */
  const problems: { beat: string | undefined; writes: string | undefined } = {
    beat: undefined,
    writes: "what it should hold is not known yet",
  };
  /** What has been told of each since it last went well: errors take turns in one outage. */
  const toldProblems = { beat: new Set<string>(), writes: new Set<string>() };
  /** Whether the lease was ever held. */
  let joined = false;
  /** Aborts writes in hand, some time after the loops have been stopped. */
  const leaving = new AbortController();
  let cancelBeat = () => {};
  let cancelResync = () => {};

  const setProblem = (of: keyof typeof problems, next: string | undefined) => {
    if (next === undefined) toldProblems[of].clear();
    if (next === problems[of]) return;
    problems[of] = next;
    tally.inStep((problems.beat ?? problems.writes) === undefined);
    options.changed();
  };
  const failed = (of: keyof typeof problems, error: unknown, retryIn: number) => {
    tally.failed(of);
    const code = codeOf(error);
    const news = `${code}: ${error instanceof Error ? error.message : String(error)}`;
    const isNew = !toldProblems[of].has(news) && toldProblems[of].size < mostTold;
    if (isNew) toldProblems[of].add(news);
    const what = of === "writes" ? "backend is not up to date" : joined ? "no heartbeat" : notJoined;
    log[isNew ? "error" : "debug"](
      { ...place, err: error, retryInMs: Math.round(retryIn) },
      `${what}; trying again`,
    );
    if (isLoss(error)) {
      lease.lost();
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
      if (!wish) {
        cancelBeat = after(askAgain, beat.nudge);
        return undefined;
      }
      const wasHeld = lease.isHeld();
      const { ttl, fresh } = await tally.renewal(() => lease.renew(wish.owner, signal));
      if (ttl > 0) cancelBeat = after((ttl * 1000) / 3, beat.nudge);
      joined = true;
      setProblem("beat", undefined);
      if (fresh) {
        log.info({ ...place, node: wish.owner.node, ttl }, "took the host's lease");
        stale = true;
      }
      // The host's address may have changed, of which nobody tells.
      if (!wasHeld || fresh || problems.writes !== undefined || wish !== followed) nudgeWrites();
      return undefined;
    },
    failed: (error, retryIn) => failed("beat", error, retryIn),
    done: () => tally.passed("beat"),
  });

  const writes = controlLoop({
    async pass({ signal }) {
      overtaken = false;
      const wish = options.wish();
      if (!wish) return undefined;
      const held = lease.heldBy(wish.owner);
      if (!held) {
        beat.nudge();
        return undefined;
      }
      if (lateErrors.length > 0) {
        const errors = lateErrors;
        lateErrors = [];
        throw worst(errors);
      }
      if (stale) await readOwned(held, wish, signal);
      const now = options.wish() ?? wish;
      // The wish may have changed meanwhile, its owner too.
      if (lease.heldBy(now.owner) === held) await apply(held, now, signal);
      else beat.nudge();
      return undefined;
    },
    failed(error, retryIn) {
      failed("writes", error, retryIn);
      if (!lease.isHeld()) beat.nudge();
    },
    done: () => tally.passed("writes"),
  });

  const apply = async (held: Lease, wish: Wish, signal: AbortSignal) => {
    followed = wish;
    const due = plan(wantedOf(wish), actual, wish.fate);
    tally.planned(due.register.length + due.deregister.length);
    if (due.unknown.size > 0) {
      const of = ({ container }: Instance) => container !== undefined && due.unknown.has(container.id);
      options.recall([...actual.values()].filter(of));
    }
    const errors: unknown[] = [];
    /** Removals of which it is not known whether they happened. */
    const unremoved: Instance[] = [];
    let unsure = false;
    let passed = false;
    let leftOut = false;
    /** A wish that has changed, a stop, and a backend that fails end the pass before its end. */
    const over = () => unsure || signal.aborted || overtaken;
    const attempt = async (
      operation: "register" | "deregister",
      write: () => Promise<() => void>,
    ): Promise<boolean> => {
      const readsBefore = reads;
      const began = monotonic();
      let isSure = true;
      try {
        const written = await write();
        tally.wrote(operation, "done", began);
        if (lease.heldBy(wish.owner) === held) written();
        // It is not known whether a read that happened meanwhile has seen it.
        if (reads !== readsBefore) stale = true;
      } catch (error) {
        (passed ? lateErrors : errors).push(error);
        tally.wrote(operation, isRefusal(error) ? "refused" : "failed", began);
        if (!isRefusal(error)) {
          isSure = false;
          unsure = true;
          stale = true;
        }
      }
      if (passed || leftOut) nudgeWrites();
      return isSure;
    };
    const remove = async (instance: Instance) => {
      const isSure = await attempt("deregister", async () => {
        await held.deregister(instance, leaving.signal);
        log.info({ ...place, service: instance.service, id: instance.id }, "deregistered");
        return () => {
          actual.delete(refKey(instance));
          partial.delete(refKey(instance));
        };
      });
      if (!isSure) unremoved.push(instance);
    };
    const register = async (instance: Instance) => {
      await attempt("register", async () => {
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
      });
    };
    const removals = await hands.each("removals", due.deregister, over, remove);
    leftOut ||= removals.leftOut;
    // A refusal may last for ever; everything else is tried again, and what depends on it waits.
    const free = due.register.filter((next) => !unremoved.some((removal) => goesFirst(removal, next)));
    if (!signal.aborted) {
      const registrations = await hands.each("registrations", free, over, register);
      leftOut ||= registrations.leftOut;
    }
    passed = true;
    if (errors.length > 0) throw worst(errors);
    if (leftOut && hands.empty()) nudgeWrites();
    if (over() || !hands.empty() || due.unknown.size > 0) return;
    tally.settled();
    setProblem("writes", undefined);
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
    const owner = ownerText(wish.owner);
    if (recalled !== owner) options.recall([...actual.values()]);
    recalled = owner;
    const adopted = [...actual.values()].filter(({ owner }) => owner === undefined);
    for (const { id, service } of adopted) {
      if (toldAdopted.has(id)) continue;
      log.info({ ...place, service, id }, "adopted: another registrator has left this record");
    }
    toldAdopted = new Set(adopted.map(({ id }) => id));
    const wanted = new Map(wantedOf(wish).map((instance) => [refKey(instance), instance]));
    for (const key of toldUnchecked) if (!wanted.has(key)) toldUnchecked.delete(key);
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
        if (sameInstance(core(held), core(instance))) actual.set(key, instance);
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
    nudge() {
      tally.changed();
      if (lease.isHeld()) nudgeWrites();
      else beat.nudge();
    },
    refresh,
    joined: lease.isHeld,
    notReady() {
      const problem = problems.beat ?? problems.writes;
      return problem?.includes(backend.title) ? problem : problem && `${backend.title}: ${problem}`;
    },
    status() {
      const counted = tally.status();
      const { ttl = 0, renewedSeconds = 0 } = counted;
      // While nobody answers, nobody says that it has run out.
      const hasRunOut = ttl > 0 && renewedSeconds > ttl;
      return {
        backend: backend.title,
        joined: lease.isHeld() && !hasRunOut,
        problem: problems.beat ?? problems.writes,
        ...counted,
        held: [...actual.values()].map(statusRecord),
      };
    },
    async stop(onExit) {
      const end = deadline(leaveWithin);
      const finish = onExit === "deregister" ? deadline(finishWithin, end) : end;
      finish.addEventListener("abort", () => leaving.abort(finish.reason), { once: true });
      cancelBeat();
      cancelResync();
      await Promise.all([beat.stop(), writes.stop()]);
      await Promise.all([hands.idle(), lease.kept()]);
      cancelBeat();
      cancelResync();
      if (onExit === "keep") return;
      await lease.release(end).catch((error: unknown) => {
        log.error(
          { ...place, err: error },
          "could not deregister at exit; the records expire with the lease",
        );
      });
    },
  };
}

/** A record without what a backend may have to leave out or to cut. */
function core({ container: _container, claim: _claim, ...rest }: Instance): Instance {
  return { ...rest, meta: {} };
}
