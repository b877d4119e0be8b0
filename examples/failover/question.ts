// A server that is asked the same again and again, without HAProxy.
import { setTimeout as sleep } from "node:timers/promises";
import { now } from "../demo/journal.ts";
import type { Session } from "./store.ts";

/** A question that is being asked. */
export interface Question {
  /** When the answer was yes for the first time, before it was sent; undefined: not yet. */
  since(): number | undefined;
  /** When it ceased to be yes; undefined: not yet. */
  until(): number | undefined;
  /** Asks no more. Again: nothing. */
  stop(): Promise<void>;
}

/** ms between two questions. */
const pace = 5;

/** Asks every 5 ms; whoever does not answer says no, and is connected anew. */
export function askOften(
  connect: () => Promise<Session>,
  question: (session: Session) => Promise<boolean>,
): Question {
  let since: number | undefined;
  let until: number | undefined;
  let going = true;
  let session: Session | undefined;
  const ask = async () => {
    try {
      session ??= await connect();
      return await question(session);
    } catch {
      session?.close();
      session = undefined;
      return false;
    }
  };
  const running = (async () => {
    while (going) {
      const yes = await ask();
      if (yes) since ??= now();
      else if (since !== undefined) until ??= now();
      await sleep(pace);
    }
    session?.close();
  })();
  return {
    since: () => since,
    until: () => until,
    async stop() {
      going = false;
      await running;
    },
  };
}
