import { wallTime } from "../clock.ts";
import type { Meter } from "../meter.ts";

/** Something that was measured a short time ago: a point in the plots of the status page. */
export interface Recent {
  /** RFC 3339 in UTC, for people. */
  readonly at: string;
  readonly kind: "registered" | "applied" | "reload";
  /** The backend or target. */
  readonly where: string;
  /** How long it took from the change on; absent for a reload. */
  readonly ms?: number;
  /** What became of the reload. */
  readonly result?: string;
}

/** Points that are kept. */
const most = 400;

/** A meter that keeps the last latencies and reloads, and the list of those, the oldest first. */
export function createRecent(): { readonly meter: Meter; list(): readonly Recent[] } {
  const points: Recent[] = [];
  const keep = (point: Omit<Recent, "at">) => {
    points.push({ at: wallTime(), ...point });
    if (points.length > most) points.shift();
  };
  return {
    list: () => points,
    meter: {
      count(name, labels) {
        const { target: where = "", result = "" }: Readonly<Record<string, string>> = labels;
        if (name === "reloads") keep({ kind: "reload", where, result });
      },
      time(name, labels, ms) {
        const { target = "", backend = "" }: Readonly<Record<string, string>> = labels;
        const rounded = Math.round(ms);
        if (name === "apply_latency") keep({ kind: "applied", where: target, ms: rounded });
        if (name === "registration_latency") keep({ kind: "registered", where: backend, ms: rounded });
      },
    },
  };
}
