import { hostname } from "node:os";
import type { Notes } from "../backends/backend.ts";
import { deadline } from "../clock.ts";
import { coded } from "../errors.ts";
import { type Order, type OverrideTarget, overrideName, withDrain, withoutDrain } from "../override.ts";
import type { Context } from "./context.ts";
import { readOverrides, writeOverride } from "./override-notes.ts";
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
  { overrides: notes, title }: { readonly overrides: Notes; readonly title: string },
  all: readonly Registered[],
  { command, stop }: Pick<Context, "command" | "stop">,
  progress: Progress,
): Promise<DrainOrders> {
  const now = orderOf(undefined, hostname());
  const order: Order = { ...now, by: `${now.by} (${command})` };
  /** What was ordered before of each target that has our order now. */
  const ordered = new Map<OverrideTarget, Order | undefined>();
  const takeBack = async () => {
    try {
      const limit = deadline(lastPatience);
      const there = await readOverrides(notes, title, limit);
      for (const [target, earlier] of ordered) {
        const override = there.get(overrideName(target));
        if (override?.drain?.by !== order.by || override.drain.since !== order.since) continue;
        const rest = earlier ? withDrain(target, override, earlier) : withoutDrain(override);
        await writeOverride(notes, rest, limit);
      }
    } catch (error) {
      const names = listed([...ordered.keys()].map(overrideName));
      const { message } = coded("FAILED", error);
      progress.step(`the drain of ${names} is not taken back: ${message}; \`portolan undrain\` ends it`);
    }
  };
  try {
    const limit = deadline(patience, stop);
    const there = await readOverrides(notes, title, limit);
    for (const { container, instances } of all) {
      for (const { id, node } of instances) {
        const target: OverrideTarget = { id, node, container: container.id };
        const before = there.get(overrideName(target));
        const isAboutIt = (before?.target.container ?? container.id) === container.id;
        const earlier = isAboutIt ? before?.drain : undefined;
        // One that ends by itself could do so before the container does.
        if (earlier && earlier.until === undefined) continue;
        ordered.set(target, earlier);
        await writeOverride(notes, withDrain(target, before, order), limit);
      }
    }
    return { isOurs: ordered.size > 0, takeBack };
  } catch (error) {
    await takeBack();
    throw error;
  }
}
