import { after, monotonic } from "../clock.ts";
import type { Context } from "./context.ts";
import { createLineBelow } from "./line-below.ts";

/** Tells people what a command waits for, one thing after the other. */
export interface WaitLine {
  /** What the command is to write through: its lines stand above the one that is shown. */
  readonly context: Context;
  /** Does `work`. On a terminal a line says `what` from the first second on, until it is over. */
  during<T>(what: string, work: () => Promise<T>): Promise<T>;
  /** Says what is at hand in work that lets no timer run meanwhile: as seldom as `during` would. */
  at(what: string): void;
}

/** ms until a wait is told of: what is over sooner needs no line. */
const soon = 1_000;

/** A line that goes again on a terminal; elsewhere, and beside a log for programs, nothing. */
export function createWaitLine(context: Context): WaitLine {
  const line = createLineBelow(context);
  if (!line) return { context, during: (_what, work) => work(), at() {} };
  const { progress } = line;
  let told = monotonic();
  return {
    context: line.context,
    async during(what, work) {
      told = monotonic();
      const cancel = after(soon, () => progress.waiting(what));
      try {
        return await work();
      } finally {
        cancel();
        progress.clear();
      }
    },
    at(what) {
      if (monotonic() - told < soon) return;
      told = monotonic();
      progress.waiting(what);
    },
  };
}
