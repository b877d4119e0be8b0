import type { Context } from "./context.ts";
import { createProgress, type ProgressLine } from "./progress.ts";

/** A line of progress below all else that a command writes. */
export interface LineBelow {
  readonly progress: ProgressLine;
  /** What the command is to write through: its lines stand above the one that is shown. */
  readonly context: Context;
}

/** Such a line on a terminal; undefined elsewhere, and beside a log for programs. */
export function createLineBelow(context: Context): LineBelow | undefined {
  const { terminal, settings, log, print, say } = context;
  if (!terminal || settings.values.logFormat === "json") return undefined;
  const progress = createProgress(context);
  const aside =
    <Given extends readonly unknown[]>(write: (...given: Given) => void) =>
    (...given: Given) =>
      progress.aside(() => write(...given));
  return {
    progress,
    context: {
      ...context,
      print: aside(print),
      say: aside(say),
      log: { debug: aside(log.debug), info: aside(log.info), warn: aside(log.warn), error: aside(log.error) },
    },
  };
}
