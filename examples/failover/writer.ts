// Writes at a steady pace on a connection that is kept, as an application does it; every one is accounted for.
import { setTimeout as sleep } from "node:timers/promises";
import { now } from "../demo/journal.ts";
import { RefusedBySlave, type Session } from "./store.ts";

/** What became of a write; moments as in the journal. */
export interface Write {
  readonly sentAt: number;
  readonly endedAt: number;
  /** The server that took it. */
  readonly by?: string;
  /** Why it failed, in words. */
  readonly failure?: string;
  /** A slave was asked, and refused. */
  readonly bySlave: boolean;
}

/** A stream of writes. */
export interface Writer {
  /** Of all writes that have ended, in their order. */
  readonly writes: readonly Write[];
  /** Ends it. Again: nothing. */
  stop(): Promise<void>;
}

/** ms between two writes, at least. */
const pace = 20;
/** ms that a connection or a write may take. */
const patience = 1_000;

/** Writes every 20 ms, one after the other; a failure closes the connection, and the next write takes a new one. */
export function startWriter(connect: () => Promise<Session>): Writer {
  const writes: Write[] = [];
  let session: Session | undefined;
  let going = true;
  const write = async () => {
    session ??= await within(connect(), (late) => late.close());
    return within(session.write(), () => undefined);
  };
  const running = (async () => {
    while (going) {
      const sentAt = now();
      try {
        const by = await write();
        writes.push({ sentAt, endedAt: now(), by, bySlave: false });
      } catch (error) {
        session?.close();
        session = undefined;
        const failure = error instanceof Error ? error.message || error.name : String(error);
        writes.push({ sentAt, endedAt: now(), failure, bySlave: error instanceof RefusedBySlave });
      }
      await sleep(Math.max(1, sentAt + pace - now()));
    }
    session?.close();
  })();
  return {
    writes,
    async stop() {
      going = false;
      await running;
    },
  };
}

/** Rejects when `work` takes too long; what it gives after that is handed to `late`. */
async function within<T>(work: Promise<T>, late: (result: T) => void): Promise<T> {
  const over = new AbortController();
  const tooLong = sleep(patience, undefined, { signal: over.signal }).then(() => {
    work.then(late, () => {});
    throw new Error(`no answer within ${patience} ms`);
  });
  try {
    return await Promise.race([work, tooLong]);
  } finally {
    over.abort();
    tooLong.catch(() => {});
  }
}
