import type { ICompare, IRequestOp } from "etcd3";
import { soon } from "../../clock.ts";
import { type EtcdAnswer, type EtcdClient, isRefused } from "./client.ts";

/** One operation on one key, for as long as a guard holds. */
export interface Guarded {
  readonly key: string;
  readonly operation: IRequestOp;
  /** What the guard is of: those of one lease are the same. */
  readonly lease: string;
}

/** Brings operations to the store, in one transaction what is asked for at the same time. */
export interface JoinedTxns {
  /** Answers as a transaction of its own does; rejects like `EtcdClient.txn`. */
  run(one: Guarded, signal: AbortSignal): Promise<EtcdAnswer>;
}

/** An operation that waits to be sent. */
interface Waiting extends Guarded {
  readonly answered: (answer: EtcdAnswer) => void;
  readonly failed: (error: unknown) => void;
}

/** Operations of one transaction, each on a key of its own. */
interface Batch {
  readonly lease: string;
  readonly signal: AbortSignal;
  readonly members: Map<string, Waiting>;
}

/**
 * Less than a registrator writes at once: where one of several servers hangs, no more hang with it. The server takes 128
 * operations, and may be set to take fewer.
 */
const most = 8;

/** Nothing is sent before what is at hand has been asked for. */
export function createJoinedTxns(
  client: Pick<EtcdClient, "txn">,
  guard: (lease: string) => readonly ICompare[],
): JoinedTxns {
  let batches: Batch[] = [];
  let isDue = false;

  const alone = async ({ operation, lease, answered, failed }: Waiting, signal: AbortSignal) => {
    try {
      answered(await client.txn(guard(lease), [operation], [], signal));
    } catch (error) {
      failed(error);
    }
  };

  const send = async ({ lease, signal, members }: Batch) => {
    const all = [...members.values()];
    const [only, ...others] = all;
    if (only && others.length === 0) return alone(only, signal);
    try {
      const operations = all.map(({ operation }) => operation);
      const { responses, ...whole } = await client.txn(guard(lease), operations, [], signal);
      for (const [at, { answered }] of all.entries()) {
        const own = responses[at];
        answered({ ...whole, responses: own ? [own] : [] });
      }
    } catch (error) {
      // What the server refuses of one of them costs no other.
      if (isRefused(error)) await Promise.all(all.map((one) => alone(one, signal)));
      else for (const { failed } of all) failed(error);
    }
  };

  const sendAll = () => {
    const due = batches;
    batches = [];
    isDue = false;
    for (const batch of due) void send(batch);
  };

  return {
    run: (one, signal) =>
      new Promise((answered, failed) => {
        const fits = (batch: Batch) =>
          batch.lease === one.lease &&
          batch.signal === signal &&
          batch.members.size < most &&
          !batch.members.has(one.key);
        let batch = batches.find(fits);
        if (batch === undefined) {
          batch = { lease: one.lease, signal, members: new Map() };
          batches.push(batch);
        }
        batch.members.set(one.key, { ...one, answered, failed });
        if (isDue) return;
        isDue = true;
        soon(sendAll);
      }),
  };
}
