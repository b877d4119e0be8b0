import type { Snapshot } from "../../backends/backend.ts";
import { PortolanError } from "../../errors.ts";
import type { Turn } from "../../loop.ts";
import { isRefusal } from "../check.ts";
import type { GuardedWorld } from "../guarded-world.ts";
import type { Isolation } from "../isolation.ts";
import type { Records } from "../records.ts";
import { rehearse } from "../rehearse.ts";
import type { Tally } from "../tally.ts";
import type { UnitFiles } from "../unit-files.ts";
import type { Applying } from "./applying.ts";
import { changedServices } from "./changed-services.ts";
import type { Outcome } from "./outcome.ts";
import type { Rendering } from "./rendering.ts";

/** The services that are at fault when an outcome could not be applied. */
export interface Faults {
  /**
   * Has them held back. Resolves with "held" when a render without them is worth it, with "superseded" when something
   * newer has come. Rejects with the error when it is none of a check, and as `isolate` does.
   */
  holdBack(error: unknown, outcome: Outcome, turn: Turn): Promise<"held" | "superseded">;
}

/** What finding faults needs of the keeper around it. */
export interface FaultsOptions {
  readonly isolation: Isolation;
  readonly rendering: Pick<Rendering, "reads" | "rehearse">;
  /** For texts that are checked and nothing else. */
  readonly unit: Pick<UnitFiles, "plan">;
  readonly applying: Pick<Applying, "applied" | "request">;
  readonly world: Pick<GuardedWorld, "left">;
  readonly tally: Pick<Tally, "installed" | "notInstalled">;
  records(): Promise<Records>;
}

/** Finds faults by rehearsing other worlds. */
export function createFaults(options: FaultsOptions): Faults {
  const { isolation, rendering, unit, applying, world, tally, records } = options;

  const requestOf = async (snapshot: Snapshot, keys: Outcome["keys"], turn: Turn) => {
    const files = await unit.plan(rendering.rehearse(snapshot, keys), (await records()).accepted);
    if (files === undefined) throw new PortolanError("TEMPLATE", "something that is read is not known yet");
    const services = changedServices(rendering.reads(), applying.applied(), snapshot);
    return applying.request(files, services, turn);
  };

  return {
    async holdBack(error, { snapshot: now, keys }, turn) {
      const before = applying.applied() ?? world.left();
      if (!isRefusal(error) || now === undefined || before === undefined) throw error;
      const changed = changedServices(rendering.reads(), before, now);
      const rehearsed = (snapshot: Snapshot) => rehearse(() => requestOf(snapshot, keys, turn), tally);
      return isolation.isolate({ error, now, before, changed, rehearse: rehearsed }, turn);
    },
  };
}
