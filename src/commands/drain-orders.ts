import { hostname } from "node:os";
import type { Notes } from "../backends/backend.ts";
import { deadline } from "../clock.ts";
import { coded } from "../errors.ts";
import {
  type Order,
  type Override,
  type OverrideTarget,
  overrideName,
  withDrain,
  withoutDrain,
} from "../override.ts";
import type { Context } from "./context.ts";
import { changeOverride } from "./override-notes.ts";
import { orderOf } from "./override-order.ts";
import { listed, type Progress } from "./progress.ts";
import type { Registered } from "./registered-containers.ts";

/** Orders to drain that stand in the backend. */
export interface DrainOrders {
  /** False where all of it is somebody else's. */
  readonly isOurs: boolean;
  /**
   * Takes them back; what somebody else has ordered stays, or is there again. Never rejects: where it cannot be, that
   * and the way out are told.
   */
  takeBack(): Promise<void>;
}

/** ms that the backend has to take the orders. */
const patience = 10_000;
/** ms that it has to give them back: the process may be about to end. */
const lastPatience = 3_000;

/**
 * Orders the drain of each instance of these containers, as `portolan drain` does, until it is taken back. Where
 * somebody else has ordered that already, nothing is written.
 */
export async function orderDrains(
  { overrides, title }: { readonly overrides: Notes; readonly title: string },
  all: readonly Registered[],
  { command, stop }: Pick<Context, "command" | "stop">,
  progress: Progress,
): Promise<DrainOrders> {
  const at = { notes: overrides, title };
  const now = orderOf(undefined, hostname());
  const order: Order = { ...now, by: `${now.by} (${command})` };
  /** What was ordered before of each target that has our order now. */
  const ordered = new Map<OverrideTarget, Order | undefined>();
  const takeBack = async () => {
    try {
      const limit = deadline(lastPatience);
      for (const [target, earlier] of ordered) {
        const withoutOurs = (override: Override | undefined) => {
          if (override?.drain?.by !== order.by || override.drain.since !== order.since) return override;
          return earlier ? withDrain(target, override, earlier) : withoutDrain(override);
        };
        await changeOverride(at, target, withoutOurs, limit);
      }
    } catch (error) {
      const names = listed([...ordered.keys()].map(overrideName));
      const { message } = coded("FAILED", error);
      progress.step(`the drain of ${names} is not taken back: ${message}; \`portolan undrain\` ends it`);
    }
  };
  try {
    const limit = deadline(patience, stop);
    for (const { container, instances } of all) {
      for (const { id, node } of instances) {
        const target: OverrideTarget = { id, node, container: container.id };
        const withOurs = (before: Override | undefined) => {
          const isAboutIt = (before?.target.container ?? container.id) === container.id;
          const earlier = isAboutIt ? before?.drain : undefined;
          // One that ends by itself could do so before the container does.
          const stands = earlier !== undefined && earlier.until === undefined;
          if (stands) ordered.delete(target);
          else ordered.set(target, earlier);
          return stands ? before : withDrain(target, before, order);
        };
        await changeOverride(at, target, withOurs, limit);
      }
    }
    return { isOurs: ordered.size > 0, takeBack };
  } catch (error) {
    await takeBack();
    throw error;
  }
}
