import type { TargetStatus } from "../../daemon-status.ts";
import type { Log } from "../../log.ts";
import type { Refused, RefusedContainer } from "../render.ts";
import type { RenderedFiles } from "../rendered-files.ts";
import type { Tally } from "../tally.ts";
import type { Target } from "../target.ts";

/** What the grammars of some targets have left out of their files. */
export interface RefusedValues {
  /** A render is about to be installed: what it has left out and the one before has not is logged. */
  see(target: Target, outcome: RenderedFiles): void;
  status(target: Target): Pick<TargetStatus, "refused" | "refusedContainers">;
}

/** Nothing is left out at first. */
export function createRefusedValues(
  log: Pick<Log, "error">,
  tally: Pick<Tally, "quarantined">,
): RefusedValues {
  const instances = new Map<Target, readonly Refused[]>();
  const containers = new Map<Target, readonly RefusedContainer[]>();
  return {
    see(target, outcome) {
      if (outcome.status !== "rendered") return;
      const { destination } = target;
      const { refused, refusedContainers = [] } = outcome;
      for (const { id, service, reason } of refused) {
        if (instances.get(target)?.some((one) => one.id === id && one.reason === reason)) continue;
        log.error({ destination, service, id, code: "VALUE_REFUSED" }, `instance left out: ${reason}`);
        tally.quarantined();
      }
      for (const { name: container, reason } of refusedContainers) {
        if (containers.get(target)?.some((one) => one.name === container && one.reason === reason)) continue;
        log.error({ destination, container, code: "VALUE_REFUSED" }, `container left out: ${reason}`);
      }
      instances.set(target, refused);
      containers.set(target, refusedContainers);
    },
    status(target) {
      const refusedContainers = containers.get(target) ?? [];
      return {
        refused: instances.get(target) ?? [],
        ...(refusedContainers.length > 0 && { refusedContainers }),
      };
    },
  };
}
