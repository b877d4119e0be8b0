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

/** What this owner lists, of everything that stands under `nodes`. */
export function listedBy(
  owner: string,
  nodes: readonly { readonly key: string; readonly text: string }[],
): readonly Instance[] {
  return nodes.flatMap(({ key, text }) => {
    const claim = decodeClaim(text, key);
    return claim?.owner === owner ? claim.records : [];
  });
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

/**
 * The list with which `owner` claims a node: what the claim before lists, where that was its own or one that it
 * inherits, else `listing`. The claim's text does not tell the `keys` of what was not read yet.
 */
export function listingOver(
  before: Claim | undefined,
  owner: string,
  inherits: string | undefined,
  listing: Listing,
): Listing {
  if (!before || (before.owner !== owner && before.owner !== inherits)) return listing;
  return { keys: [], records: before.records.map((record) => ({ ...record, owner })) };
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
