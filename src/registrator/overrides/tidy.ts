import type { Backend, Notes } from "../../backends/backend.ts";
import { deadline } from "../../clock.ts";
import { PortolanError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { controlLoop, type Loop } from "../../loop.ts";

/** A note that is over, wholly or in part, or that says less than it should. */
export interface Due {
  readonly name: string;
  /** As it was read. */
  readonly text: string;
  /** What is to stand there instead; undefined: nothing. */
  readonly rest: string | undefined;
}

/** The notes of one backend, and what is due there. */
export interface TidyOptions {
  readonly backend: Pick<Backend, "title">;
  readonly notes: Notes;
  readonly log: Log;
  /** What this process has to change now. */
  due(): readonly Due[];
}

/** ms that one look at the notes, with the writes after it, may take. */
const patience = 10_000;

/** A loop that mends notes, where they still stand as they were read. While none is due, it asks nothing. */
export function tidy({ backend: { title }, notes, log, due }: TidyOptions): Loop {
  let isToldDenied = false;
  return controlLoop({
    async pass({ signal }) {
      const over = due();
      if (over.length === 0) return undefined;
      const limit = deadline(patience, signal);
      for (const { name, text, rest } of over) {
        if (!(await notes.exchange(name, text, rest, limit))) continue;
        const what = rest === undefined ? "an override is over" : "an override was brought up to date";
        log.info({ backend: title, override: name }, what);
      }
      return undefined;
    },
    failed(error) {
      const isDenied = error instanceof PortolanError && error.code === "BACKEND_DENIED";
      const level = isDenied && !isToldDenied ? "warn" : "debug";
      isToldDenied ||= isDenied;
      log[level]({ backend: title, err: error }, "overrides are not brought up to date; trying again");
    },
  });
}
