import type { Snapshot } from "../backends/backend.ts";
import type { Log } from "../log.ts";
import type { Observed } from "../source.ts";

/** The records of a backend that cannot be read. They hide no other, and keep nothing from being ready. */
export interface Unreadable {
  /** The observation has changed: tells of each record that was not told of before. */
  see(observed: Observed<Snapshot>): void;
  /** Where they stand, and why they cannot be read. */
  status(): readonly { readonly place: string; readonly reason: string }[];
}

/** One line for each record when it shows, or shows another reason, and one when it is over. */
export function createUnreadable(backend: string, log: Log): Unreadable {
  let shown: Snapshot["invalid"] = new Map();
  return {
    see(observed) {
      const before = shown;
      if (!observed.known || observed.value.invalid === before) return;
      shown = observed.value.invalid;
      for (const [place, reason] of shown) {
        if (before.get(place) === reason) continue;
        log.warn(
          { backend, place, reason, code: "RECORD" },
          "record cannot be read and is left out; mend or remove it",
        );
      }
      for (const place of before.keys())
        if (!shown.has(place)) log.info({ backend, place }, "no unreadable record there any more");
    },
    status: () => [...shown].map(([place, reason]) => ({ place, reason })),
  };
}
