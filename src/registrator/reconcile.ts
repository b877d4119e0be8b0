import type { Backend, Lease, Owner } from "../backends/backend.ts";
import { after, deadline } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import { encodeInstance, type Instance, refKey } from "../instance.ts";
import type { Log } from "../log.ts";
import { controlLoop } from "../loop.ts";
import { plan } from "./plan.ts";

/** What one backend is kept equal to. */
export interface Wish {
  readonly owner: Owner;
  readonly instances: readonly Instance[];
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

/** Keeps one backend equal to the wish. */
export function reconcile(options: ReconcileOptions): Reconciler {
  const { backend, log } = options;
  const place = { backend: backend.title };
  let lease: Lease | undefined;
  let joined = false;
  /** What the backend holds of ours; undefined when it has to be read. */
  let actual: Map<string, Instance> | undefined;
  /** Records that the backend could only hold in part, as they were wanted. */
  const partial = new Map<string, string>();
  let problem: string | undefined = "waits for Docker";
  let cancelBeat = () => {};
  let cancelResync = () => {};

  const setProblem = (next: string | undefined) => {
    if (next === problem) return;
    problem = next;
    options.changed();
  };
  const failed = (error: unknown, retryIn: number) => {
    const { code, message } =
      error instanceof PortolanError ? error : { code: "FAILED", message: String(error) };
    const news = `${code}: ${message}`;
    const level = news === problem ? "debug" : "error";
    log[level]({ ...place, err: error, retryInMs: Math.round(retryIn) }, "backend not reached; trying again");
    if (code === "LEASE_LOST" || code === "SUPERSEDED" || code === "NODE_TAKEN") {
      joined = false;
      actual = undefined;
      beat.nudge();
    }
    setProblem(news);
  };

  const beat = controlLoop({
    // A backend that comes back must not see the lease run out while we wait for the next try.
    retryCap: Math.min(10_000, (options.ttlSeconds * 1000) / 4),
    async pass({ signal }) {
      cancelBeat();
      const wish = options.wish();
      if (!wish) return undefined;
      lease ??= backend.lease(wish.owner, options.ttlSeconds);
      const { ttl, fresh } = await lease.renew(signal);
      cancelBeat = after((ttl * 1000) / 3, beat.nudge);
      if (fresh) {
        log.info({ ...place, node: wish.owner.node, ttl }, "took the host's lease");
        actual = undefined;
      }
      if (!joined || fresh) {
        joined = true;
        writes.nudge();
      }
      return undefined;
    },
    failed,
  });

  const writes = controlLoop({
    async pass({ signal }) {
      const wish = options.wish();
      if (!wish) return undefined;
      if (!joined || !lease) {
        beat.nudge();
        return undefined;
      }
      const holder = lease;
      const held = actual ?? (await readOwned(holder, wish, signal));
      const due = plan(wish.instances, held);
      const errors: unknown[] = [];
      await inParallel(due.deregister, async (ref) => {
        try {
          await holder.deregister(ref, signal);
          held.delete(refKey(ref));
          partial.delete(refKey(ref));
          log.info({ ...place, service: ref.service, id: ref.id }, "deregistered");
        } catch (error) {
          errors.push(error);
        }
      });
      await inParallel(due.register, async (instance) => {
        try {
          const { leftOut } = await holder.register(instance, signal);
          held.set(refKey(instance), instance);
          const { service, id, address, port, state } = instance;
          log.info({ ...place, service, id, address, port, state }, "registered");
          if (leftOut.length === 0) partial.delete(refKey(instance));
          else {
            partial.set(refKey(instance), encodeInstance(instance));
            log.warn({ ...place, service, id, leftOut }, "the backend cannot hold all attributes");
          }
        } catch (error) {
          errors.push(error);
        }
      });
      signal.throwIfAborted();
      if (errors.length > 0) throw worst(errors);
      setProblem(undefined);
      return undefined;
    },
    failed,
  });

  const readOwned = async (from: Lease, wish: Wish, signal: AbortSignal): Promise<Map<string, Instance>> => {
    cancelResync();
    const owned = new Map((await from.owned(signal)).map((instance) => [refKey(instance), instance]));
    for (const instance of wish.instances) {
      const key = refKey(instance);
      const held = owned.get(key);
      // What the backend cannot hold must not be written again at every read.
      if (held && partial.get(key) === encodeInstance(instance)) {
        if (encodeInstance({ ...held, meta: {} }) === encodeInstance({ ...instance, meta: {} }))
          owned.set(key, instance);
      }
    }
    actual = owned;
    cancelResync = after(options.resync * (0.9 + Math.random() * 0.2), refresh);
    return owned;
  };
  const refresh = () => {
    actual = undefined;
    writes.nudge();
  };

  return {
    nudge: () => (joined ? writes.nudge() : beat.nudge()),
    refresh,
    notReady: () => (problem === undefined ? undefined : `${backend.title}: ${problem}`),
    status: () => ({ backend: backend.title, joined, problem, held: actual ? [...actual.values()] : [] }),
    async stop(onExit) {
      cancelBeat();
      cancelResync();
      await Promise.all([beat.stop(), writes.stop()]);
      if (onExit === "deregister" && joined && lease) {
        await lease.release(deadline(4000)).catch((error: unknown) => {
          log.error(
            { ...place, err: error },
            "could not deregister at exit; the records expire with the lease",
          );
        });
      }
    },
  };
}

/** An error that asks for a new lease goes before the others, since it explains them. */
function worst(errors: readonly unknown[]): unknown {
  const isLost = (error: unknown) => error instanceof PortolanError && error.code === "LEASE_LOST";
  return errors.find(isLost) ?? errors[0];
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, worker));
}
