import { monotonic } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import type { Meter } from "../meter.ts";
import type { Installed } from "./install.ts";
import { ReloadError } from "./reload/index.ts";
import type { RenderedFiles } from "./rendered-files.ts";

/** What the loop of a target counts of its work. Nothing is decided by it. */
export interface Tally {
  passed(result: "done" | "failed" | "superseded"): void;
  /** A render has ended that began at `began`; without outcomes it has failed. */
  rendered(began: number, outcomes?: readonly RenderedFiles[]): void;
  /** An install has ended; `since` is when the change was known that it was for. ms on the monotonic clock. */
  installed(installed: Installed, since: number | undefined): void;
  /** An install has failed. */
  notInstalled(error: unknown): void;
  /** A reload has asked for its turn among hosts. */
  turn(result: "taken" | "late" | "unreached"): void;
  /** An instance was left out. */
  quarantined(): void;
  /** A service began to be held back. */
  heldBack(): void;
  verdict(verdict: string): void;
}

/** The tally of one target, or of one group, named by its destinations. */
export function createTally(target: string, meter: Meter): Tally {
  let isOwed = false;
  const reloaded = (result: string) => meter.count("reloads", { target, result });
  return {
    passed(result) {
      meter.count("passes", { loop: "target", result });
      if (result === "failed") meter.count("retries", { loop: "target" });
    },
    rendered(began, outcomes) {
      const isWaiting = outcomes?.some(({ status }) => status === "waiting");
      const result = outcomes === undefined ? "failed" : isWaiting ? "waiting" : "rendered";
      meter.count("renders", { target, result });
      meter.time("render_duration", { target }, monotonic() - began);
    },
    installed({ verdict, by, operations, took }, since) {
      if (took.check !== undefined) {
        meter.count("checks", { target, result: "passed" });
        meter.time("check_duration", { target }, took.check);
      }
      // A proxy that is away is asked again and again; that is one reload that is owed.
      if (verdict === "owed" && !isOwed) reloaded("owed");
      isOwed = verdict === "owed" || (isOwed && verdict === "superseded");
      if (verdict !== "applied" && verdict !== "reloaded") return;
      if (by === "reload") reloaded("accepted");
      if (by === "start") reloaded("started");
      if (by === "runtime") meter.count("runtime_operations", { target }, operations);
      if (took.reload !== undefined)
        meter.time("reload_duration", { target }, took.reload + (took.verify ?? 0));
      if (since !== undefined) meter.time("apply_latency", { target }, monotonic() - since);
    },
    notInstalled(error) {
      if (error instanceof ReloadError) reloaded(error.left === "none" ? "unreached" : "refused");
      else if (error instanceof PortolanError && error.code === "CHECK_FAILED")
        meter.count("checks", { target, result: "refused" });
    },
    turn: (result) => meter.count("reload_turns", { target, result }),
    quarantined: () => meter.count("quarantines", { target }),
    heldBack: () => meter.count("held_back", { target }),
    verdict: (verdict) => meter.count("verdicts", { target, verdict }),
  };
}
