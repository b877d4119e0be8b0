import type { Source } from "../../source.ts";
import type { Interest, Observation } from "../backend.ts";
import type { Answer, ConsulApi, Question } from "../consul/api.ts";
import { watchQuery } from "../consul/query.ts";
import type { Retries } from "../consul/retries.ts";
import type { Layout } from "../layouts/layout.ts";
import { createObservers } from "../observers.ts";
import { createRecords } from "../records.ts";
import { assertMayRead, entriesOf, type KvEntry } from "./keys.ts";

/** The watch of one backend. */
export interface ConsulkvWatch {
  observe(interest: Interest): Observation;
  /** Ends all observations. */
  close(): void;
}

/** Watches everything below `services` with one blocking query for all observations. */
export function createConsulkvWatch(
  api: ConsulApi,
  { services, read }: Pick<Layout, "services" | "read">,
  retries: Retries,
  grace?: number,
): ConsulkvWatch {
  const records = createRecords(read);
  let source: Source<readonly KvEntry[]> | undefined;

  /** Consul hides keys from a token that may not read them: nothing is believed to be there only if it may. */
  const ask = async (question: Question, signal: AbortSignal): Promise<Answer> => {
    const prefix = `${services}/`;
    const answer = await api.tree(prefix, question, signal);
    if (answer.body === undefined) await assertMayRead(api, prefix, signal);
    return answer;
  };

  const observers = createObservers(records, {
    start() {
      const begun = watchQuery<readonly KvEntry[]>({ ask, read: sameOr, isLess }, retries, grace);
      source = begun;
      begun.subscribe(() => {
        if (source !== begun) return;
        const now = begun.current();
        if (now.problem) return observers.fail(now.problem);
        if (!now.known) return;
        records.replace(now.value.map(({ key, text }) => [key, text] as const));
        observers.publish();
      });
    },
    stop() {
      void source?.close();
      source = undefined;
    },
    refresh: () => source?.refresh(),
  });
  return observers;
}

/** The keys and texts of an answer; `previous` where they are the same. */
function sameOr({ body }: Answer, previous: readonly KvEntry[] | undefined): readonly KvEntry[] {
  const entries = entriesOf(body);
  const same =
    previous?.length === entries.length && entries.every((entry, at) => isSame(entry, previous[at]));
  return same && previous ? previous : entries;
}

/** Whether a key is missing. */
function isLess(now: readonly KvEntry[], before: readonly KvEntry[]): boolean {
  const keys = new Set(now.map(({ key }) => key));
  return before.some(({ key }) => !keys.has(key));
}

const isSame = (a: KvEntry, b: KvEntry | undefined) => a.key === b?.key && a.text === b.text;
