import type { TargetStatus } from "../../daemon-status.ts";
import type { GuardedWorld } from "../guarded-world.ts";
import type { Quarantine } from "../quarantine.ts";
import type { UnitFiles } from "../unit-files.ts";
import type { Applying } from "./applying.ts";
import type { RefusedValues } from "./refused-values.ts";
import type { KeptTarget, Rendering } from "./rendering.ts";
import type { Report } from "./report.ts";

/** The pieces of a keeper that have something to show of its targets. */
export interface ShownPieces {
  readonly world: Pick<GuardedWorld, "status">;
  readonly quarantine: Pick<Quarantine, "status">;
  readonly rendering: Pick<Rendering, "status">;
  readonly refusedValues: Pick<RefusedValues, "status">;
  readonly unit: Pick<UnitFiles, "leftOut">;
  readonly applying: Pick<Applying, "owed" | "revision">;
  readonly report: Pick<Report, "reason">;
}

/** What `/status` shows of one target. */
export function targetStatus({ target, template }: KeptTarget, pieces: ShownPieces): TargetStatus {
  const { world, quarantine, rendering, refusedValues, unit, applying, report } = pieces;
  const reads = template.reads();
  const owed = applying.owed();
  const leftOut = unit.leftOut(target);
  const heldBack = quarantine.status();
  return {
    source: target.source,
    destination: target.destination,
    ...(target.group !== undefined && { group: target.group }),
    reload: target.reload.kind,
    hasCheck: target.check !== undefined,
    ...(leftOut.length > 0 && { leftOut }),
    reason: report.reason(),
    ...(owed !== undefined && { owed }),
    revision: applying.revision(),
    reads: {
      services: [...reads.services],
      all: reads.all,
      ...(reads.containers && { containers: true as const }),
    },
    ...rendering.status(),
    ...world.status(),
    ...(heldBack.length > 0 && { heldBack }),
    ...refusedValues.status(target),
  };
}
