import type { Instance } from "../../instance.ts";
import type { Listing } from "./claim.ts";

/** A key as read; `at` is what the store needs to change this state of it and no other. */
export interface Found<At> {
  readonly key: string;
  readonly text: string;
  readonly at: At;
}

/** One key as it should be: with another text or, without a text, gone. It must be as `found`, or absent. */
export interface Change<At> {
  readonly key: string;
  readonly text: string | undefined;
  readonly found: Found<At> | undefined;
}

/** Somebody's list, as `nodes/<node>` holds it. */
export interface Listed {
  /** The key of the list. */
  readonly place: string;
  readonly owner: string;
  readonly records: readonly Instance[];
}

/**
 * What a store has to do for an owner that lists its keys in `nodes/<node>`. Rejects as a lease does: with
 * LEASE_LOST where the node is not held any more, NODE_TAKEN, SUPERSEDED, or how the call failed, which may then
 * have happened all the same.
 */
export interface ListedStore<At> {
  /** The key of our own list. */
  readonly place: string;
  /** How many changes one `commit` takes. */
  readonly batch: number;
  /** Whether the keys stay for ever: nothing holds them. */
  readonly kept: boolean;
  /**
   * Beats once, or claims the node: with the list that its owner left or, where there is no claim, with `listing`.
   * `taken`: since the last `settle`.
   */
  hold(listing: Listing, signal: AbortSignal): Promise<{ readonly ttl: number; readonly taken: boolean }>;
  /** The keys have been moved under what `hold` took: what they hung on before may go. */
  settle(signal: AbortSignal): Promise<void>;
  /** The list in our claim as it is stored. */
  own(signal: AbortSignal): Promise<readonly Instance[]>;
  /** Every key of the services, whoever wrote it. */
  keys(signal: AbortSignal): Promise<readonly Found<At>[]>;
  /** The lists of all nodes that are claimed, ours included. */
  lists(signal: AbortSignal): Promise<readonly Listed[]>;
  /**
   * Writes the list and the keys in one transaction, all of it under what holds the node. Returns the keys as
   * they are now, without those that are gone; undefined: a key was not as found, or the list not as we left it,
   * and nothing was written.
   */
  commit(
    listing: Listing,
    changes: readonly Change<At>[],
    signal: AbortSignal,
  ): Promise<readonly Found<At>[] | undefined>;
  /** Gives up the node and all that hangs on it. Not held: nothing. */
  release(signal: AbortSignal): Promise<void>;
}
