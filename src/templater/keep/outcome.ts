import type { TargetWorld } from "../../acknowledgement.ts";
import type { Snapshot } from "../../backends/backend.ts";
import { type InstanceRef, refKey } from "../../instance.ts";
import type { Made } from "../kept-template.ts";
import type { HeldBack } from "../quarantine.ts";
import type { Target } from "../target.ts";
import type { UnitFiles } from "../unit-files.ts";
import type { World } from "../view.ts";

/** All renders of a group, of one snapshot. */
export interface Outcome {
  readonly made: readonly (Made & { readonly target: Target })[];
  readonly snapshot: Snapshot | undefined;
  /** What in the snapshot is not as the world has it. */
  readonly heldBack: readonly HeldBack[];
  readonly keys: World["keys"];
  /** Why it must not be installed; empty when it may. */
  readonly unmet: readonly string[];
}

/** What templates wait for that is not known yet, in words; undefined when all of them were rendered. */
export function missingOf({ made }: Outcome): string | undefined {
  const missing = made.flatMap(({ outcome }) => (outcome.status === "waiting" ? outcome.for : []));
  return missing.length > 0 ? `waits for ${[...new Set(missing)].sort().join(", ")}` : undefined;
}

/** What each file was made from, once it is accepted: those who wait for an instance are told of it. */
export function acceptedWorlds(
  { made, snapshot }: Outcome,
  unit: Pick<UnitFiles, "leftOut">,
): readonly TargetWorld["accepted"][] {
  return made.map(({ target, outcome }) => {
    const refused = new Set(outcome.status === "rendered" ? outcome.refused.map(refKey) : []);
    const services = new Set(unit.leftOut(target).map(({ service }) => service));
    const isLeftOut = (ref: InstanceRef) => services.has(ref.service) || refused.has(refKey(ref));
    return { instances: snapshot?.services ?? new Map(), reads: outcome.reads, isLeftOut };
  });
}
