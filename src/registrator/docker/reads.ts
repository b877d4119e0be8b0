import { after, backoff } from "../../clock.ts";
import { createAlarms } from "./alarms.ts";
import { type Inspected, UnreadError } from "./client.ts";
import { createKeyed } from "./keyed.ts";

/** Inspects in flight at once. */
const parallel = 16;
/** ms without an answer after which `all` goes on without the containers that Docker has not described. */
const longestSilence = 2000;
/** ms, the longest wait between two tries to read a container that Docker could not describe. */
const longestRetry = 30_000;

/** The containers of one connection to Docker, being read one by one. */
export interface Reads {
  /** Those that Docker cannot describe at present, with the reason. They are tried again and again. */
  readonly unread: ReadonlyMap<string, string>;
  /** Reads a container from now on. */
  one(id: string): Promise<void>;
  /** Reads them all; does not wait for those that Docker hangs over, which are unread until it answers. */
  all(ids: readonly string[]): Promise<void>;
  busy(id: string): boolean;
  /** The container has ended: what an inspect in hand tells of it may be older than that, and does not count. */
  ended(id: string): void;
  /** No retry is due any more. */
  close(): void;
}

/** What is done with reads. */
export interface ReadsOptions {
  /** Undefined when there is no such container. Rejects with an UnreadError when Docker cannot describe it. */
  inspect(id: string): Promise<Inspected | undefined>;
  found(id: string, inspected: Inspected | undefined): void;
  /** Whether enough is known of the container without a description. */
  isEnough(id: string): boolean;
  /** Called after each read, whatever came of it. */
  done(id: string): void;
  /** Any other error than an UnreadError concerns all containers. */
  broken(error: unknown): void;
  /** Aborts all that `inspect` does. */
  readonly signal: AbortSignal;
}

/** Reads that have not begun. */
export function createReads({ inspect, found, isEnough, done, broken, signal }: ReadsOptions): Reads {
  const unread = new Map<string, string>();
  /** How often each container could not be read since it last could. */
  const failures = new Map<string, number>();
  const retries = createAlarms((id) => void one(id));
  /** Inspects in hand, and whether the container has ended since they began. */
  const inHand = new Map<string, { overtaken: boolean }>();

  const forget = (id: string) => {
    unread.delete(id);
    failures.delete(id);
    retries.cancel(id);
  };
  const isUnread = (id: string, reason: string) => {
    if (!isEnough(id)) unread.set(id, reason);
  };
  const read = async (id: string) => {
    const mine = { overtaken: false };
    inHand.set(id, mine);
    try {
      const inspected = await inspect(id);
      if (mine.overtaken) return;
      forget(id);
      found(id, inspected);
    } catch (error) {
      // Docker may hang or fail over one container for as long as it runs: the others must not wait for it.
      if (signal.aborted || !(error instanceof UnreadError)) throw error;
      if (mine.overtaken) return;
      isUnread(id, error.message);
      const attempt = failures.get(id) ?? 0;
      failures.set(id, attempt + 1);
      retries.set(id, backoff(attempt, 1000, longestRetry));
    } finally {
      inHand.delete(id);
    }
    done(id);
  };
  const keyed = createKeyed(parallel, read);
  const one = (id: string) => keyed.run(id).catch(broken);

  return {
    unread,
    one,
    async all(ids) {
      const waiting = new Set(ids);
      await new Promise<void>((resolve) => {
        let cancel = () => {};
        const answered = () => {
          cancel();
          if (waiting.size === 0) resolve();
          else cancel = after(longestSilence, resolve);
        };
        answered();
        for (const id of waiting) {
          void one(id).then(() => {
            waiting.delete(id);
            answered();
          });
        }
      });
      for (const id of waiting) {
        isUnread(id, `container ${id.slice(0, 12)} cannot be read: Docker has not described it yet`);
      }
    },
    busy: keyed.busy,
    ended(id) {
      forget(id);
      const reading = inHand.get(id);
      if (reading) reading.overtaken = true;
    },
    close: retries.clear,
  };
}
