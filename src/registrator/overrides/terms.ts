import { monotonic, untilWallTime } from "../../clock.ts";
import type { Order, Override } from "../../override.ts";

/** Which orders are over, on this process's own clock. */
export interface Terms {
  /** What is left of an override when what is over is left out. */
  standing(override: Override): Override;
  /** ms until the next order is over; undefined where none will be. */
  next(): number | undefined;
  /** From now on only the orders of these count. */
  of(overrides: readonly Override[]): void;
}

/**
 * An order that names an end lasts until then by the wall clock as it stands when the order is first seen, and no
 * longer than was asked for, whatever that clock says: so neither its later jumps nor one that is slow prolong it.
 */
export function createTerms(): Terms {
  /** By what an order says of its time: when it is over, in ms on the monotonic clock. */
  let ends = new Map<string, number>();
  const keyOf = ({ since, until }: Order) => `${since} ${until}`;
  const endOf = (order: Order | undefined): number => {
    if (order?.until === undefined) return Number.POSITIVE_INFINITY;
    const { since, until } = order;
    const end =
      ends.get(keyOf(order)) ??
      monotonic() + Math.min(untilWallTime(until), Date.parse(until) - Date.parse(since));
    ends.set(keyOf(order), end);
    return end;
  };
  const isOver = (order: Order) => endOf(order) <= monotonic();

  return {
    standing: ({ target, tags, drain }) => ({
      target,
      ...(tags && !isOver(tags) && { tags }),
      ...(drain && !isOver(drain) && { drain }),
    }),
    next() {
      const now = monotonic();
      const next = Math.min(...[...ends.values()].filter((end) => end > now));
      return Number.isFinite(next) ? next - now : undefined;
    },
    of(overrides) {
      const orders = overrides.flatMap(({ tags, drain }) => [tags ?? [], drain ?? []].flat());
      ends = new Map(
        orders
          .filter(({ until }) => until !== undefined)
          .map((order) => [keyOf(order), endOf(order)] as const),
      );
    },
  };
}
