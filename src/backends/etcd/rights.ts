import type { IRequestOp } from "etcd3";

/** How many keys a message names. */
const named = 3;

/** The right to read a whole prefix that ends in a slash, as `etcdctl` has it. */
export const rightsBelow = (prefix: string): string => `read of the prefix ${prefix}`;

/** The rights that the operations of a transaction take: what is written has mostly been read before. */
export function rightsOf(operations: readonly IRequestOp[]): string {
  const rights = [...new Set(operations.flatMap(rightsOfOne))];
  const more = rights.length > named ? [`the like of ${rights.length - named} more`] : [];
  return [...rights.slice(0, named), ...more].join(", ");
}

function rightsOfOne(operation: IRequestOp): readonly string[] {
  const {
    request_put: put,
    request_delete_range: remove,
    request_range: range,
    request_txn: txn,
  } = operation;
  const written = put ?? remove;
  if (written) return [`readwrite of ${String(written.key)}`];
  if (range) return [range.range_end ? rightsBelow(String(range.key)) : `read of ${String(range.key)}`];
  return [...(txn?.success ?? []), ...(txn?.failure ?? [])].flatMap(rightsOfOne);
}
