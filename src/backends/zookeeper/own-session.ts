import { coded, PortolanError } from "../../errors.ts";
import { limited } from "../limited.ts";
import { createTurns } from "../turns.ts";
import type { Connection } from "./connection.ts";
import { type Connector, createSessionLink, isLost } from "./session.ts";

/** The session that a lock or a held note has for itself, begun when it is first used. */
export interface OwnSession {
  /** Runs one work after the other in it; one on whose way it expired once more, in the next session. */
  use<T>(work: (on: Connection) => Promise<T>, signal: AbortSignal): Promise<T>;
  /** Ends it, and its nodes with it. */
  end(signal: AbortSignal): Promise<void>;
}

/** No session yet. `title` is the backend's. */
export function createOwnSession(title: string, connect: Connector): OwnSession {
  const lost = () => new PortolanError("LEASE_LOST", "the session is gone");
  const link = createSessionLink(connect, { lost, renewed: true });
  const inTurn = createTurns();
  const call = <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> =>
    limited(
      signal,
      () => inTurn(work),
      (error) => coded("BACKEND_UNREACHABLE", error, `${title}: `),
    );

  return {
    use: (work, signal) =>
      call(signal, async () => {
        try {
          return await work(link.current() ? await link.attach() : await link.begin());
        } catch (error) {
          if (!isLost(error)) throw error;
          link.forget();
          return work(await link.begin());
        }
      }),

    end: (signal) =>
      call(signal, async () => {
        if (!link.current()) return;
        try {
          await (await link.attach()).end();
        } catch (error) {
          if (!isLost(error)) throw error;
        }
        link.forget();
      }),
  };
}
