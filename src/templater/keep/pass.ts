import { monotonic } from "../../clock.ts";
import type { Turn } from "../../loop.ts";
import { needsReload } from "../install.ts";
import { endLook } from "../look-ahead.ts";
import type { PinLook } from "../pin-look.ts";
import type { Pin } from "../pins.ts";
import { type Quarantine, reasonOf } from "../quarantine.ts";
import type { Records } from "../records.ts";
import { ReloadError } from "../reload/index.ts";
import { rollbackCause } from "../step-back.ts";
import type { Tally } from "../tally.ts";
import type { Target } from "../target.ts";
import type { UnitFiles } from "../unit-files.ts";
import type { Verdicts } from "../verdicts.ts";
import type { Alarm } from "./alarm.ts";
import type { Applied, Applying } from "./applying.ts";
import { changedServices } from "./changed-services.ts";
import type { Faults } from "./faults.ts";
import type { KeepOptions } from "./keeper.ts";
import type { Lag } from "./lag.ts";
import { missingOf, type Outcome } from "./outcome.ts";
import type { RefusedValues } from "./refused-values.ts";
import type { Rendering } from "./rendering.ts";
import type { Report } from "./report.ts";

/** One pass of a keeper after the other: what is rendered, or what a rollback asks for, is applied. */
export interface Pass {
  /** One pass, for the control loop. */
  run(turn: Turn): Promise<undefined | "superseded">;
  /** What was rendered may not be what a render would give now. */
  stale(): void;
}

/** The pieces that a pass puts in order. */
export interface PassOptions {
  readonly targets: readonly Target[];
  readonly preview: KeepOptions["preview"];
  /** What a diff passes through before somebody sees it. */
  readonly masked: (diff: string) => string;
  readonly pins: PinLook;
  readonly rendering: Rendering;
  readonly refusedValues: RefusedValues;
  readonly unit: UnitFiles;
  readonly applying: Applying;
  readonly faults: Faults;
  readonly quarantine: Quarantine;
  readonly lag: Lag;
  readonly report: Report;
  readonly verdicts: Pick<Verdicts, "because" | "changing" | "refused">;
  readonly tally: Pick<Tally, "passed">;
  /** For what is to be done again soon. */
  readonly alarm: Pick<Alarm, "cancel">;
  /** For what is held back. */
  readonly retry: Alarm;
  records(): Promise<Records>;
  /** Another pass is due. */
  nudge(): void;
  /** A pass has ended, however it did. */
  settled(): void;
}

/** What has become of an outcome: what applying says, or that the files stay as they are. */
type Ended = Applied | { readonly is: "kept"; readonly reason: string | undefined };

const nothingAccepted = { get: () => undefined, destinations: () => [] };

/** What is found at the start is whole, and no change after which more may come: it is not waited for more. */
const atOnce = (turn: Turn): Turn => ({ ...turn, settled: async () => !turn.signal.aborted });

/** Passes of which none has run. */
export function createPass(options: PassOptions): Pass {
  const { targets, preview, pins, rendering, unit, applying, faults, quarantine, records } = options;
  const { lag, report, verdicts, tally, alarm, retry, nudge } = options;
  /** True when some changes need no reload. */
  const atRuntime = targets.some(({ reload }) => reload.kind === "haproxy");
  /** The render that an install which was not finished may use again. */
  let again: Outcome | undefined;
  /** All that a render needs was known once. */
  let hasBegun = false;
  /** The rollback that was last in force, by the change that it goes back before. */
  let isPinned: number | undefined;

  const endLooks = async () => {
    for (const { destination } of targets) await endLook(destination);
  };

  /** A dry run opens no records: that would finish what another process has begun. */
  const plan = async ({ made }: Outcome) =>
    unit.plan(made, preview ? nothingAccepted : (await records()).accepted);

  const apply = async (outcome: Outcome, turn: Turn): Promise<Ended> => {
    const files = await plan(outcome);
    if (files === undefined || outcome.unmet.length > 0) await applying.payDebt(turn);
    if (files === undefined) return { is: "kept", reason: undefined };
    const isFirst = !hasBegun;
    hasBegun = true;
    for (const one of outcome.made) options.refusedValues.see(one.target, one.outcome);
    const services = changedServices(rendering.reads(), applying.applied(), outcome.snapshot);
    verdicts.changing(services);
    if (outcome.unmet.length > 0) return { is: "kept", reason: report.unmet(outcome.unmet) };
    report.met();
    if (preview) {
      for (const { target, text } of files) preview(target, text?.toString(), options.masked);
      return { is: "kept", reason: undefined };
    }
    return applying.apply({ files, services, outcome }, isFirst ? atOnce(turn) : turn);
  };

  /** What is to be applied: of proxies that take some changes at once, a reload that comes too early is waited for. */
  const rendered = async (begun: Outcome | Promise<Outcome> | undefined, turn: Turn): Promise<Outcome> => {
    const outcome = await (begun ?? again ?? rendering.render());
    again = undefined;
    if (!atRuntime || !applying.isEarly()) return outcome;
    const files = await plan(outcome);
    if (files === undefined || !(await needsReload(files, await records()))) return outcome;
    // What a look has found may not be so any more after the wait.
    await endLooks();
    await applying.intervalOver(turn.signal);
    return rendering.render();
  };

  /** Tries again what is held back once it is time. */
  const retryHeldBack = () => {
    const due = quarantine.due();
    if (due === undefined) retry.cancel();
    else retry.set(due - monotonic());
  };

  /** A rollback is in force: no template is rendered, and the files are what they were. */
  const putBack = async (pin: Pin, turn: Turn): Promise<undefined | "superseded"> => {
    const files = await unit.rolledBack(pin, (await records()).backups);
    if (isPinned !== pin.change) verdicts.because(rollbackCause);
    verdicts.changing([]);
    isPinned = pin.change;
    const { is } = await applying.apply({ files, services: [], outcome: undefined }, turn);
    if (is === "superseded") return is;
    lag.rendering();
    lag.applied();
    if (is === "refused") return undefined;
    report.forget();
    report.setReason(
      `rolled back to what was there before change ${pin.change}; \`portolan rollback --release\` ends that`,
    );
    return undefined;
  };

  const once = async (turn: Turn): Promise<undefined | "superseded"> => {
    alarm.cancel();
    if (!atRuntime) await applying.intervalOver(turn.signal);
    // While none was in force, rendering begins before that is known.
    const begun = isPinned === undefined ? (again ?? rendering.render()) : undefined;
    const [asked] = await Promise.allSettled([pins.begin(), begun]);
    if (asked.status === "rejected") throw asked.reason;
    if (asked.value) {
      await applying.intervalOver(turn.signal);
      return putBack(asked.value, turn);
    }
    if (isPinned !== undefined) verdicts.because("release");
    isPinned = undefined;
    let outcome = await rendered(begun, turn);
    let ended: Ended;
    try {
      ended = await apply(outcome, turn);
    } catch (error) {
      if ((await faults.holdBack(error, outcome, turn)) === "superseded") return "superseded";
      verdicts.refused([]);
      outcome = await rendering.render();
      ended = await apply(outcome, turn);
    }
    if (ended.is === "superseded") return ended.is;
    // What has changed since it was rendered is not in it.
    if (ended.is === "owed" && !lag.hasNews()) again = outcome;
    const bad = rendering.bad();
    if (bad) throw bad;
    lag.applied();
    if (ended.is === "refused") return undefined;
    report.forget();
    report.setReason(missingOf(outcome) ?? ended.reason ?? reasonOf(outcome.heldBack));
    if (ended.reason === undefined) retryHeldBack();
    return undefined;
  };

  /** Nothing may have told of a rollback that has come: the next pass puts it in force. */
  const lookForPin = async () => {
    const isThere = await pins.end().catch(() => false);
    if (isThere && isPinned === undefined) nudge();
  };

  /** Pays while something else has failed, which is what is told, and not that the proxy is still not reached. */
  const payMeanwhile = (turn: Turn) =>
    applying.payDebt(turn).catch((error: unknown) => {
      if (!(error instanceof ReloadError) || error.left !== "none") throw error;
    });

  return {
    async run(turn) {
      try {
        const result = await once(turn);
        tally.passed(result ?? "done");
        return result;
      } catch (error) {
        // A reload that has just failed is not tried again at once.
        if (!(error instanceof ReloadError)) await payMeanwhile(turn);
        throw error;
      } finally {
        await endLooks();
        options.settled();
        void lookForPin();
      }
    },
    stale() {
      again = undefined;
    },
  };
}
