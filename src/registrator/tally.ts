import { monotonic } from "../clock.ts";
import type { Meter } from "../meter.ts";

/** The two loops of a reconciler. */
export type LoopName = "beat" | "writes";

/** What a reconciler tells of its work, for people and for metrics. Nothing is decided by it. */
export interface Tally {
  /** The wish may have changed. */
  changed(): void;
  passed(loop: LoopName): void;
  failed(loop: LoopName): void;
  /** Renews the lease, and counts and measures that. */
  renewal<T extends { readonly ttl: number; readonly fresh: boolean }>(renew: () => Promise<T>): Promise<T>;
  /** A plan was made, of so many writes. */
  planned(writes: number): void;
  /** A write has ended that began at `began`. */
  wrote(operation: "register" | "deregister", result: "done" | "refused" | "failed", began: number): void;
  /** The backend holds what it should. */
  settled(): void;
  /** Whether it is equal to the wish, as far as is known. */
  inStep(isInStep: boolean): void;
  /** `ttl` and `renewedSeconds` are absent while there was no heartbeat. */
  status(): {
    readonly ttl?: number;
    readonly renewedSeconds?: number;
    /** For how long the backend may hold something else than it should; 0 when it holds that. */
    readonly staleSeconds: number;
  };
}

const loops = { beat: "lease", writes: "registrations" } as const;

/** The tally of one backend, named by its title. */
export function createTally(backend: string, meter: Meter): Tally {
  /** ms on the monotonic clock. */
  let changedAt: number | undefined;
  /** Whether something was to be written since then. */
  let hasWork = false;
  let staleSince: number | undefined = monotonic();
  let renewed: { readonly ttl: number; readonly at: number } | undefined;

  return {
    changed() {
      changedAt ??= monotonic();
    },
    passed: (loop) => meter.count("passes", { loop: loops[loop], result: "done" }),
    failed(loop) {
      meter.count("passes", { loop: loops[loop], result: "failed" });
      meter.count("retries", { loop: loops[loop] });
    },
    async renewal(renew) {
      const began = monotonic();
      try {
        const renewal = await renew();
        renewed = { ttl: renewal.ttl, at: monotonic() };
        meter.time("renewal_duration", { backend }, renewed.at - began);
        meter.count("renewals", { backend, result: renewal.fresh ? "fresh" : "renewed" });
        return renewal;
      } catch (error) {
        meter.count("renewals", { backend, result: "failed" });
        throw error;
      }
    },
    planned(writes) {
      hasWork ||= writes > 0;
      meter.count("plans", { backend, result: writes === 0 ? "equal" : "different" });
    },
    wrote(operation, result, began) {
      meter.count("writes", { backend, operation, result });
      meter.time("write_duration", { backend, operation }, monotonic() - began);
    },
    settled() {
      if (changedAt !== undefined && hasWork)
        meter.time("registration_latency", { backend }, monotonic() - changedAt);
      changedAt = undefined;
      hasWork = false;
    },
    inStep(isInStep) {
      staleSince = isInStep ? undefined : (staleSince ?? monotonic());
    },
    status() {
      const since = (at: number) => Math.round((monotonic() - at) / 1000);
      return {
        ...(renewed && { ttl: renewed.ttl, renewedSeconds: since(renewed.at) }),
        staleSeconds: staleSince === undefined ? 0 : since(staleSince),
      };
    },
  };
}
