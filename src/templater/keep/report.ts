import { coded, PortolanError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { KnownSecrets } from "../known-secrets.ts";
import { ReloadError } from "../reload/index.ts";
import type { Verdicts } from "../verdicts.ts";

/** What a keeper says of itself while its files are not what they should be: to the log, the journal and `/readyz`. */
export interface Report {
  /** Why the files are not what they should be; undefined when they are. */
  reason(): string | undefined;
  setReason(reason: string | undefined): void;
  /** A pass has failed, and the next one comes in `retryIn` ms. What repeats itself is logged once. */
  failed(error: unknown, retryIn: number): void;
  /** The guard wants more than there is. Gives the reason. */
  unmet(conditions: readonly string[]): string;
  /** The guard has what it wants. */
  met(): void;
  /** What was told of failures is over, or somebody wants to hear it again. */
  forget(): void;
}

/** What a report needs of the keeper around it. */
export interface ReportOptions {
  /** Names the target, for the log. */
  readonly name: { readonly destination: string };
  readonly log: Log;
  readonly verdicts: Pick<Verdicts, "tell">;
  readonly secrets: Pick<KnownSecrets, "mask">;
  /** Why the template on the disk is not the one in use. */
  bad(): unknown;
  /** The reason has changed. */
  changed(): void;
}

const tooLittle = "the guard wants more than there is, and the file stays as it is";

/** The reports of one keeper, which has rendered nothing yet. */
export function createReport({ name, log, verdicts, secrets, bad, changed }: ReportOptions): Report {
  let reason: string | undefined = "not rendered yet";
  /** The gist of the failure that was logged last; undefined when there was none, or it has passed. */
  let told: string | undefined;
  let toldUnmet: string | undefined;

  const setReason = (next: string | undefined) => {
    if (next === reason) return;
    reason = next;
    changed();
  };

  return {
    reason: () => reason,
    setReason,
    failed(error, retryIn) {
      // Programs quote the file that they complain of.
      const whole = coded("FAILED", error);
      const { code, message } = { code: whole.code, message: secrets.mask(whole.message) };
      const news = gist(code, message);
      const isWritten = error instanceof ReloadError && error.left === "none";
      verdicts.tell(isWritten ? "owed" : "rejected", { why: `${code}: ${message}`, gist: news });
      const level = news === told ? "debug" : "error";
      const what = error === bad() ? "template not used, the one before stays" : "not applied";
      const err = message === whole.message ? error : new PortolanError(code, message);
      log[level]({ ...name, err, retryInMs: Math.round(retryIn) }, `${what}; trying again`);
      told = news;
      setReason(`${code}: ${message}`);
    },
    unmet(conditions) {
      const why = `${tooLittle}: ${conditions.join("; ")}`;
      if (toldUnmet !== conditions.join()) log.warn({ ...name, unmet: conditions }, tooLittle);
      verdicts.tell("held", { why, gist: conditions.join() });
      toldUnmet = conditions.join();
      return why;
    },
    met() {
      toldUnmet = undefined;
    },
    forget() {
      told = undefined;
    },
  };
}

/**
 * What two messages of one failure have in common: programs print their pid, the time and temporary files. In a
 * template's own mistakes the numbers are lines.
 */
export function gist(code: string, message: string): string {
  return code + (code === "TEMPLATE" ? message : message.replace(/\/tmp\/\S+|\d+/g, "#"));
}
