import { before } from "../../clock.ts";
import type { Probe } from "./probe.ts";
import type { Finding } from "./standing.ts";

/** What a protocol brings to be asked over a connection that is kept. */
export interface Protocol<C> {
  /** Connects; called again after each connection that was lost. */
  open(): Promise<C>;
  ask(connection: C): Promise<Finding>;
  /** Ends a connection at once, whatever goes on in it; what was asked rejects then. */
  end(connection: C): void;
}

/**
 * A probe that keeps its connection from question to question, and ends it with a question that fails. Where it was
 * kept, the question is asked once more over a new one: Sentinel hangs up on all clients of a Redis that it makes the
 * master, and the news should not wait for the next question.
 */
export function keptProbe<C>({ open, ask, end }: Protocol<C>): Probe {
  let connection: Promise<C> | undefined;
  const close = () => {
    const last = connection;
    connection = undefined;
    // One that is being opened ends as soon as it stands.
    last?.then(end, () => {});
  };
  return {
    close,
    async ask(signal) {
      for (;;) {
        const isKept = connection !== undefined;
        try {
          signal.throwIfAborted();
          connection ??= open();
          return await before(signal, connection.then(ask), () => signal.reason);
        } catch (error) {
          // It may be half open, or owe the answer to an earlier question.
          close();
          if (!isKept || signal.aborted) throw error;
        }
      }
    },
  };
}
