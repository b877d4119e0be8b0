// The table of the timeline: its columns, and how a moment is written.
import type { Applied, RecordChange } from "./journal.ts";
import { dim, green, line, red } from "./terminal.ts";

/** A line of the timeline. What is absent did not happen. */
export interface Row {
  /** Docker's moment, from which all others are counted. */
  readonly at: number;
  /** `start`, `die`, or the signal. */
  readonly event: string;
  readonly container: string;
  readonly record?: Pick<RecordChange, "at" | "state"> | undefined;
  readonly applied?: Applied | undefined;
  readonly traffic?: { readonly at: number; readonly what: string } | undefined;
}

const widths = { time: 12, event: 7, container: 10, moment: 8, state: 9 };

/** Prints what the columns mean, and their names. */
export function showHeading(): void {
  line();
  line("Each line is an event of Docker's and what follows from it, in milliseconds after the event: the");
  line("record can be read in the backend, the new haproxy.cfg is checked and in its place, HAProxy is told");
  line("of it, and the first or last request is answered.");
  line();
  line(dim(heading));
}

const heading = [
  "",
  "Docker's event".padEnd(widths.time + widths.event + widths.container + 4),
  "record".padStart(widths.moment) + " ".repeat(widths.state),
  "swapped".padStart(widths.moment),
  "reloaded".padStart(widths.moment),
  " request",
].join("  ");

/** Prints a line of the table, at most 100 columns wide. */
export function showRow({ at, event, container, record, applied, traffic }: Row): void {
  const moment = (of: number | undefined) =>
    (of === undefined ? "-" : after(of - at)).padStart(widths.moment);
  const colour = record?.state === "ready" ? green : red;
  const name =
    container.length > widths.container ? `${container.slice(0, widths.container - 1)}…` : container;
  line(
    [
      "",
      clockTime(at),
      event.padEnd(widths.event),
      name.padEnd(widths.container),
      `${moment(record?.at)} ${colour((record?.state ?? "").padEnd(widths.state - 1))}`,
      moment(applied?.swappedAt),
      moment(applied?.reloadedAt),
      traffic === undefined ? "" : `${moment(traffic.at)} ${traffic.what}`,
    ]
      .join("  ")
      .trimEnd(),
  );
}

/** `+12 ms`; an answer may also have come before Docker's event. */
export function after(ms: number): string {
  const rounded = Math.round(ms);
  return `${rounded < 0 ? "" : "+"}${rounded} ms`;
}

/** Prints a remark below a line of the table. */
export function showNote(text: string): void {
  line(`  ${" ".repeat(widths.time)}  ${text}`);
}

/** `12:34:56.789`, local. */
function clockTime(at: number): string {
  const date = new Date(at);
  const two = (part: number) => String(part).padStart(2, "0");
  const ms = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}
