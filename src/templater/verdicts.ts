import type { Log } from "../log.ts";
import { changedLines } from "./changed-lines.ts";
import { sha256 } from "./hash.ts";
import type { Journal, Verdict } from "./journal.ts";
import { rollbackCause } from "./step-back.ts";

/** A file that was swapped, for the journal. */
export interface Swapped {
  readonly destination: string;
  /** Undefined when there was no file. */
  readonly before: Uint8Array | undefined;
  /** Undefined when it was removed. */
  readonly after: Uint8Array | undefined;
}

/** Tells the journal what becomes of the changes of one target, or of one group. Nothing here rejects. */
export interface Verdicts {
  /** Why something is about to be done, beside services that changed: `start`, `rollback`. */
  because(cause: string): void;
  /** Names of services that differ from what was accepted last: the cause of what is told until the next are named. */
  changing(services: readonly string[]): void;
  /** Files were swapped; they belong to the next verdict. */
  swapped(files: readonly Swapped[]): void;
  /** Files were refused before they were swapped; they belong to the rejection that is told of those services. */
  refused(files: readonly Swapped[]): void;
  /** The verdict on what came since the last one. One that repeats the last one without any news is not told. */
  tell(verdict: Verdict["verdict"], facts: Facts): void;
  /** Resolves once everything is written. */
  written(): Promise<void>;
}

/** What is known of a verdict. */
export interface Facts extends Pick<Verdict, "by" | "why"> {
  /** Names of services that changed, where it is not those that were named last. */
  readonly services?: readonly string[];
  /** What is the same in repetitions of one failure. */
  readonly gist?: string;
  readonly tookMs?: Readonly<Record<string, number>>;
}

/** Verdicts that wait to be written, beyond which diffs are left out: finding them takes longer than writing. */
const mostWaiting = 8;

/** The cause of what a process does first. */
export const startCause = "start";

/** Services that a cause names. */
const mostNames = 20;

/** Who else has to do with verdicts. */
export interface Around {
  /** A diff as the journal may hold it; where nothing was rendered, both of its sides are old. */
  shown?(diff: string, isRendered: boolean): string;
  /** Hears of each verdict that is told. */
  told?(verdict: Verdict["verdict"]): void;
}

/** Verdicts on `targets` (destinations). `journal` gives the journal, or rejects while there is none. */
export function createVerdicts(
  targets: readonly string[],
  journal: () => Promise<Journal>,
  log: Pick<Log, "warn">,
  { shown = (diff) => diff, told = () => {} }: Around = {},
): Verdicts {
  let causes = new Set<string>();
  let changing: readonly string[] = [];
  let files: Swapped[] = [];
  let refusedFiles: readonly Swapped[] = [];
  let last: string | undefined;
  let writing: Promise<void> = Promise.resolve();
  let waiting = 0;
  let isBad = false;

  const changesOf = (swapped: readonly Swapped[], isBrief: boolean, isRendered: boolean) =>
    Promise.all(
      swapped.map(async ({ destination, before, after }) => {
        const diff = isBrief ? undefined : await changedLines(destination, before, after);
        return {
          destination,
          before: before === undefined ? null : sha256(before),
          after: after === undefined ? null : sha256(after),
          diff: diff && shown(diff, isRendered),
        };
      }),
    );
  const write = async (
    verdict: Omit<Verdict, "files" | "refused">,
    swapped: readonly Swapped[],
    refused: readonly Swapped[],
    isBrief: boolean,
  ) => {
    const isRendered = !verdict.cause.includes(rollbackCause);
    try {
      const changes = await changesOf(swapped, isBrief, isRendered);
      const notMade = refused.length > 0 ? await changesOf(refused, isBrief, isRendered) : undefined;
      await (await journal()).add({ ...verdict, files: changes, refused: notMade });
      isBad = false;
    } catch (error) {
      if (!isBad) log.warn({ err: error }, "the journal is not written");
      isBad = true;
    }
  };

  return {
    because: (cause) => void causes.add(cause),
    changing(services) {
      changing = services;
      refusedFiles = [];
    },
    swapped: (more) => void files.push(...more),
    refused(those) {
      refusedFiles = those;
    },
    tell(verdict, { services = changing, gist = "", tookMs = {}, by, why }) {
      const key = `${verdict} ${gist}`;
      // A hold, or what was owed, may be told before it.
      const refused = verdict === "rejected" ? refusedFiles : [];
      if (verdict === "rejected") refusedFiles = [];
      const isRepeated = key === last && verdict !== "applied" && verdict !== "reloaded";
      if (files.length === 0 && isRepeated) return;
      // Passes that had nothing to do are no changes.
      if (verdict === "unchanged" && causes.size === 0 && services.length === 0) return;
      last = key;
      told(verdict);
      // To a process that has just begun, everything is new.
      const news = causes.has(startCause) ? [] : services;
      const named = news.slice(0, mostNames).map((service) => `service ${service}`);
      const more = news.length > mostNames ? [`${news.length - mostNames} more services`] : [];
      const cause = [...causes, ...named, ...more];
      const entry = { targets, cause: cause.length > 0 ? cause : ["another try"], verdict, by, why, tookMs };
      const swapped = files;
      const isBrief = waiting >= mostWaiting;
      causes = new Set();
      const isAccepted = verdict === "applied" || verdict === "reloaded" || verdict === "unchanged";
      // What was owed may be accepted after others were named.
      if (isAccepted && services === changing) changing = [];
      files = [];
      waiting += 1;
      writing = writing
        .then(() => write(entry, swapped, refused, isBrief))
        .finally(() => {
          waiting -= 1;
        });
    },
    written: () => writing,
  };
}
