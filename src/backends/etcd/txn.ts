import { CompareResult, CompareTarget, type ICompare, type IRequestOp } from "etcd3";

/** What must hold for a transaction to take its first branch. */
export const when = {
  /** The key does not exist. */
  absent: (key: string): ICompare => ({
    ...equal(key),
    target: CompareTarget.Create,
    create_revision: "0",
  }),
  /** The key holds this text. */
  text: (key: string, text: string): ICompare => ({
    ...equal(key),
    target: CompareTarget.Value,
    value: Buffer.from(text),
  }),
  /** The key hangs on this lease. A missing key hangs on lease 0, which no lease is called. */
  held: (key: string, lease: string): ICompare => ({ ...equal(key), target: CompareTarget.Lease, lease }),
  /** The key was last written at this revision; "0" is a key that does not exist. */
  unmodified: (key: string, revision: string): ICompare => ({
    ...equal(key),
    target: CompareTarget.Mod,
    mod_revision: revision,
  }),
};

/** The operations of a transaction. */
export const op = {
  /** A put without its lease leaves a key that never expires, so it has to be said: lease "0". */
  put: (key: string, text: string, lease: string): IRequestOp => ({
    request_put: { key: Buffer.from(key), value: Buffer.from(text), lease },
  }),
  /** Hangs an existing key on another lease and leaves its value. */
  move: (key: string, lease: string): IRequestOp => ({
    request_put: { key: Buffer.from(key), lease, ignore_value: true },
  }),
  remove: (key: string): IRequestOp => ({ request_delete_range: { key: Buffer.from(key) } }),
  get: (key: string): IRequestOp => ({ request_range: { key: Buffer.from(key) } }),
  /** Everything below a prefix that ends in a slash. */
  list: (prefix: string): IRequestOp => ({ request_range: below(prefix) }),
  txn: (
    compare: readonly ICompare[],
    success: readonly IRequestOp[],
    failure: readonly IRequestOp[],
  ): IRequestOp => ({
    request_txn: { compare: [...compare], success: [...success], failure: [...failure] },
  }),
};

/** A key alone, or the range of everything below a prefix that ends in a slash: "0" is the character after "/". */
export function below(prefix: string): { readonly key: Buffer; readonly range_end?: Buffer } {
  if (!prefix.endsWith("/")) return { key: Buffer.from(prefix) };
  return { key: Buffer.from(prefix), range_end: Buffer.from(`${prefix.slice(0, -1)}0`) };
}

function equal(key: string): ICompare {
  return { result: CompareResult.Equal, key: Buffer.from(key) };
}
