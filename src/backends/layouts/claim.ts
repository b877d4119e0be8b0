import { compare, decodeInstance, encodeInstance, type Instance } from "../../instance.ts";

/** What `nodes/<node>` says: who holds the node and, beside layouts that have no owner, what. */
export interface Claim {
  /** The owner field of its records. */
  readonly owner: string;
  readonly run: string;
  /** The records that the owner lists; none in a layout whose texts are the records. */
  readonly records: readonly Instance[];
}

/** Lists for a claim: the keys that an owner holds, and its records whole, ready or not. */
export interface Listing {
  readonly keys: readonly string[];
  readonly records: readonly Instance[];
}

/**
 * The text of a claim: `owner`, `run`, what the store adds in `more` (etcd: `lease`), and `keys` and `records` in
 * a layout whose texts have no owner. The records are there whole, so that the owner's next run sees what it
 * holds as it was registered, and rewrites nothing that is as it should be.
 */
export function encodeClaim(
  { owner, run }: { readonly owner: string; readonly run: string },
  listing?: Listing,
  more: Readonly<Record<string, string>> = {},
): string {
  return JSON.stringify({
    owner,
    run,
    ...more,
    ...(listing && {
      keys: [...listing.keys].sort(compare),
      records: listing.records
        .map(encodeInstance)
        .sort(compare)
        .map((text) => JSON.parse(text) as unknown),
    }),
  });
}

/** Who holds a node; undefined when it is written in a way that is not ours. Unreadable records are no claim. */
export function decodeClaim(text: string, place: string): Claim | undefined {
  try {
    const { owner, run, records } = JSON.parse(text) as Record<string, unknown>;
    if (typeof owner !== "string" || typeof run !== "string") return undefined;
    return { owner, run, records: Array.isArray(records) ? records.flatMap(readRecord) : [] };
  } catch {
    return undefined;
  }
  function readRecord(record: unknown): Instance[] {
    try {
      return [decodeInstance(JSON.stringify(record), place)];
    } catch {
      return [];
    }
  }
}
