import { after, monotonic } from "../clock.ts";
import type { Context } from "./context.ts";

/** Tells people what is done and what is waited for. */
export interface Progress {
  /** Something is done. */
  step(line: string): void;
  /** Something is waited for; undefined once it is over. */
  waiting(what: string | undefined): void;
}

/** The same, for the one who creates it. */
export interface ProgressLine extends Progress {
  /** Says which part of how many it is that the lines are about from now on, e.g. `2 of 3`; empty: none. */
  part(of: string): void;
  /** Lets others write a whole line of theirs: on a terminal what is waited for stays below it. */
  aside(write: () => void): void;
  /** Nothing is waited for any more, and on a terminal the line that told of it goes. */
  clear(): void;
}

/** ms between two looks at the clock on a terminal. */
const tick = 1_000;
/** Columns that a line which is written over takes at most: one that is broken cannot be. */
const columns = 78;
/** Moves to the line before and empties it. */
const over = "\x1b[1A\x1b[2K";
/** Empties the line before, and stays there: what is said ends in a new line. */
const away = `${over}\x1b[1A`;
/** Names that a line lists. */
const mostNames = 5;

/** On a terminal the last line tells for how long something has been waited for; elsewhere each wait is one line. */
export function createProgress({ terminal, say }: Pick<Context, "terminal" | "say">): ProgressLine {
  let now: { readonly what: string; readonly since: number } | undefined;
  let isShown = false;
  let prefix = "";
  let cancel = () => {};

  const show = () => {
    if (!now) return;
    const seconds = Math.round((monotonic() - now.since) / 1000);
    const since = seconds > 0 ? ` ${seconds} s` : "";
    const whole = prefix + now.what;
    const text = whole.length + since.length > columns ? `${whole.slice(0, columns - 10)}…` : whole;
    say(`${isShown ? over : ""}${text}${since}`);
    isShown = true;
    cancel = after(tick, show);
  };

  return {
    step(line) {
      cancel();
      now = undefined;
      say(`${isShown ? over : ""}${prefix}${line}`);
      isShown = false;
    },
    waiting(what) {
      if (what === now?.what) return;
      cancel();
      now = what === undefined ? undefined : { what, since: now?.since ?? monotonic() };
      if (now === undefined) return;
      if (terminal) show();
      else say(prefix + now.what);
    },
    clear() {
      cancel();
      now = undefined;
      if (isShown) say(away);
      isShown = false;
    },
    part(of) {
      prefix = of === "" ? "" : `${of}: `;
    },
    aside(write) {
      if (isShown) say(away);
      isShown = false;
      write();
      cancel();
      if (terminal) show();
    },
  };
}

/** A few names for a line, and how many more there are. */
export function listed(names: readonly string[]): string {
  const more = names.length > mostNames ? [`${names.length - mostNames} more`] : [];
  return [...names.slice(0, mostNames), ...more].join(", ");
}
