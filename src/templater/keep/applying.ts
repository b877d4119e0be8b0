import type { TargetWorld } from "../../acknowledgement.ts";
import type { Snapshot } from "../../backends/backend.ts";
import { monotonic, pauseUntil } from "../../clock.ts";
import type { Log } from "../../log.ts";
import type { Turn } from "../../loop.ts";
import { isRefusal } from "../check.ts";
import type { Clearance } from "../clearance.ts";
import { sha256 } from "../hash.ts";
import { type File, type Installed, type InstallRequest, install, reloadOwed } from "../install.ts";
import type { Isolation } from "../isolation.ts";
import { noFile } from "../part.ts";
import { namesOf, type Quarantine } from "../quarantine.ts";
import type { Records } from "../records.ts";
import { refusedFiles } from "../refused-files.ts";
import { ReloadError } from "../reload/index.ts";
import type { Tally } from "../tally.ts";
import type { Target } from "../target.ts";
import type { UnitFiles } from "../unit-files.ts";
import type { Verdicts } from "../verdicts.ts";
import type { Alarm } from "./alarm.ts";
import type { Lag } from "./lag.ts";
import { acceptedWorlds, type Outcome } from "./outcome.ts";
import { createRefusedTexts } from "./refused-texts.ts";
import { gist, type Report } from "./report.ts";

/** Applies texts to a group, and keeps account of what its proxy has accepted, refused, and has still to take. */
export interface Applying {
  /** A request to install these files. */
  request(files: readonly File[], services: readonly string[], turn: Turn): Promise<InstallRequest>;
  /** Makes texts the live files, and gets them accepted. Rejects like `install`, but where the proxy has refused them. */
  apply(texts: Texts, turn: Turn): Promise<Applied>;
  /**
   * T7: what was swapped is owed its reload, also while nothing that came after it can be installed. Once the proxy has
   * it, it is accepted as it would have been at once. Rejects like `install`.
   */
  payDebt(turn: Turn): Promise<void>;
  /** What was refused is to be tried again at once. */
  forgetRefused(): void;
  /** Whether `minInterval` forbids a reload now. */
  isEarly(): boolean;
  /** Waits until `minInterval` lets another reload happen. Rejects when aborted. */
  intervalOver(signal: AbortSignal): Promise<void>;
  /** The snapshot whose texts were last accepted. */
  applied(): Snapshot | undefined;
  /** What the proxy runs with, for each target; undefined while that is not known. */
  running(): readonly TargetWorld["accepted"][] | undefined;
  /** What the proxy has still to take. */
  owed(): string | undefined;
  /** How often something was accepted. */
  revision(): number;
}

/** Texts that are to be live. */
export interface Texts {
  readonly files: readonly File[];
  /** Names of the services that differ from what was accepted last. */
  readonly services: readonly string[];
  /** What they were rendered from; undefined when a rollback asks for them. */
  readonly outcome: Outcome | undefined;
}

/** What became of texts. */
export type Applied =
  | { readonly is: "superseded" }
  | { readonly is: "refused" }
  /** They are live; while they are owed, the proxy takes them later. The reason says what is waited for on purpose. */
  | { readonly is: "accepted" | "owed"; readonly reason: string | undefined };

/** What applying needs of the keeper around it. */
export interface ApplyingOptions {
  readonly targets: readonly Target[];
  readonly env: InstallRequest["env"];
  readonly name: { readonly destination: string };
  readonly log: Log;
  readonly unit: UnitFiles;
  readonly clearance: Clearance;
  readonly quarantine: Pick<Quarantine, "settle">;
  readonly isolation: Pick<Isolation, "begin">;
  readonly verdicts: Verdicts;
  readonly report: Report;
  readonly lag: Pick<Lag, "since">;
  readonly tally: Tally;
  /** For what is to be done again soon. */
  readonly alarm: Pick<Alarm, "set">;
  records(): Promise<Records>;
  /** What an outcome was rendered from has passed its check: the next process begins with it. */
  keep(outcome: Outcome): void;
}

/** An install that was left to be made up for. */
interface Debt {
  readonly request: InstallRequest;
  readonly outcome: Outcome | undefined;
  /** What the proxy runs with once it has taken this. */
  readonly worlds: readonly TargetWorld["accepted"][] | undefined;
}

/** ms until a reload that could not be done yet is tried again. */
const poll = 500;

/** Nothing is known of the proxy at first. */
export function createApplying(options: ApplyingOptions): Applying {
  const { targets, name, log, unit, clearance, quarantine, isolation, verdicts, report, tally, alarm } =
    options;
  const minInterval = Math.max(...targets.map((target) => target.minInterval));
  let applied: Snapshot | undefined;
  let running: readonly TargetWorld["accepted"][] | undefined;
  /** Files were swapped, and the proxy has not said yet what it makes of them. */
  let isOpen = false;
  let lastReload = Number.NEGATIVE_INFINITY;
  const refusedTexts = createRefusedTexts();
  let owed: string | undefined;
  let debt: Debt | undefined;
  let revision = 0;

  const intervalOver = (signal: AbortSignal) => pauseUntil(lastReload + minInterval, signal);

  const request = async (files: readonly File[], services: readonly string[], turn: Turn) => {
    const records = await options.records();
    return { files, turn, records, revision: revision + 1, changed: services, env: options.env, log };
  };

  const owing = (whole: InstallRequest, outcome: Outcome | undefined): Debt => ({
    request: whole,
    outcome,
    worlds: outcome && acceptedWorlds(outcome, unit),
  });

  const cleared = (whole: InstallRequest) =>
    clearance.during(whole.turn.signal, (clear) => install({ ...whole, clearance: clear }));

  const accept = (
    { verdict, by, note, took }: Installed,
    { request: { changed: services }, outcome, worlds }: Debt,
  ) => {
    isOpen = false;
    running = worlds;
    if (outcome) applied = outcome.snapshot;
    owed = undefined;
    const held = namesOf(outcome?.heldBack ?? []);
    const why = note === undefined || held === undefined ? (note ?? held) : `${note}; ${held}`;
    if (verdict === "applied" || verdict === "reloaded" || verdict === "unchanged")
      verdicts.tell(verdict, { services, by, why, tookMs: rounded(took) });
    if (verdict === "unchanged") return;
    revision += 1;
    log.info({ ...name, services, revision, by, because: note, tookMs: rounded(took) }, verdict);
  };

  /** The files are live, and the proxy takes them later: it is asked again soon. */
  const waitFor = ({ owed: next, took }: Installed, services: readonly string[]): Applied => {
    const why = next?.reason ?? "";
    verdicts.tell("owed", { services, why, gist: gist("", why), tookMs: rounded(took) });
    if (owed === undefined) log.info({ ...name, reason: why }, "written; the proxy has still to take it");
    owed = why;
    alarm.set(next?.retryIn ?? poll);
    return { is: "owed", reason: next?.owed === "held" ? why : undefined };
  };

  /** The proxy said no to these texts. */
  const refuse = (error: ReloadError, key: string): Applied => {
    const retryIn = refusedTexts.refuse(key, error);
    report.failed(error, retryIn);
    alarm.set(error.left === "open" && error.restored ? 0 : retryIn);
    return { is: "refused" };
  };

  return {
    request,
    async apply({ files, services, outcome }, turn) {
      /** What has passed its check is what the next process begins with. */
      const passed = () => {
        if (outcome) options.keep(outcome);
      };
      const whole: InstallRequest = {
        ...(await request(files, services, turn)),
        interval: () => intervalOver(turn.signal),
        swapping: () => unit.claim(files),
        swapped: (swapped) => {
          isOpen = true;
          debt = undefined;
          verdicts.swapped(swapped);
          passed();
        },
        reloaded: () => {
          lastReload = monotonic();
        },
      };
      const standing = refusedTexts.standing(() => keyOf(files));
      if (standing) {
        const { error, retryIn } = standing;
        // What was put back may be owed a reload of its own.
        if (error.left === "open" && error.restored) await reloadOwed(whole);
        report.setReason(`RELOAD_FAILED: ${error.message}`);
        alarm.set(retryIn);
        return { is: "refused" };
      }
      try {
        const installed = await cleared(whole);
        tally.installed(installed, options.lag.since());
        if (installed.verdict === "superseded") return { is: "superseded" };
        debt = installed.verdict === "owed" ? owing(whole, outcome) : undefined;
        refusedTexts.clear();
        passed();
        isolation.begin();
        const heldBack = outcome?.heldBack ?? [];
        for (const service of outcome ? quarantine.settle(heldBack) : [])
          log.info({ ...name, service }, "no longer held back");
        if (installed.verdict === "owed") {
          running = undefined;
          return waitFor(installed, services);
        }
        await unit.settle(files);
        if (heldBack.length === 0) for (const target of targets) await whole.records.rejected.drop(target);
        accept(installed, owing(whole, outcome));
        return { is: "accepted", reason: undefined };
      } catch (error) {
        tally.notInstalled(error);
        if (isRefusal(error)) verdicts.refused(await refusedFiles(files));
        if (error instanceof ReloadError && error.left === "before") isOpen = false;
        else if (isOpen || error instanceof ReloadError) running = undefined;
        if (error instanceof ReloadError) debt = error.left === "none" ? owing(whole, outcome) : undefined;
        if (!(error instanceof ReloadError) || error.left === "none") throw error;
        return refuse(error, keyOf(files));
      }
    },
    async payDebt(turn) {
      if (debt === undefined || turn.signal.aborted) return;
      const unpaid = { ...debt, request: { ...debt.request, turn } };
      debt = undefined;
      const installed = await cleared(unpaid.request).catch((error: unknown) => {
        // Only what somebody has said no to is not owed any more.
        const isRefused = isRefusal(error) || (error instanceof ReloadError && error.left !== "none");
        if (!isRefused) debt = unpaid;
        throw error;
      });
      if (installed.verdict === "owed" || installed.verdict === "superseded") {
        debt = unpaid;
        alarm.set(installed.owed?.retryIn ?? poll);
        return;
      }
      await unit.settle(unpaid.request.files);
      accept(installed, unpaid);
    },
    forgetRefused: refusedTexts.clear,
    isEarly: () => lastReload + minInterval > monotonic(),
    intervalOver,
    applied: () => applied,
    running: () => running,
    owed: () => owed,
    revision: () => revision,
  };
}

/** The same for the same texts of the same files. */
function keyOf(files: readonly File[]): string {
  const hashes = files.map(({ text, target }) => {
    const hash = text === undefined ? noFile : sha256(text);
    return `${target.destination} ${hash}`;
  });
  return sha256(hashes.join());
}

function rounded(took: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(took).map(([step, ms]) => [step, Math.round(ms * 10) / 10]));
}
