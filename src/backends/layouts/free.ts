import { PortolanError } from "../../errors.ts";
import { type Owner, ownerText } from "../backend.ts";
import type { Claim } from "./claim.ts";

/** `nodes/<node>` as somebody left it. */
export interface Holder {
  readonly place: string;
  /** Whether it goes when its owner falls silent; without that it stays until somebody removes it. */
  readonly living: boolean;
  /** Undefined: it is written in a way that is not ours. */
  readonly claim: Claim | undefined;
}

/**
 * Throws NODE_TAKEN where another owner holds the node, and SUPERSEDED where a newer run of the same owner does:
 * it is newer only when this run has `held` the node before. What was put there by hand and is no claim, nobody
 * keeps alive. A claim for ever is nobody's but its owner's, whichever of its runs wrote it. What the owner that
 * we inherit from holds is free to us until we have held the node.
 */
export function assertFree(
  { place, living, claim }: Holder,
  us: Owner,
  held: boolean,
  inherits: string | undefined,
): void {
  if (!living && !claim) return;
  if (!held && claim && claim.owner === inherits) return;
  if (claim?.owner !== ownerText(us)) {
    const other = claim?.owner ?? `an unreadable record at ${place}`;
    const why = living ? "whose lease lives" : `for ever; when it is gone for good, delete ${place}`;
    throw new PortolanError("NODE_TAKEN", `node ${us.node} belongs to ${other}, ${why}`);
  }
  if (living && held && claim.run !== us.run) {
    throw new PortolanError("SUPERSEDED", `node ${us.node} was taken over by run ${claim.run}`);
  }
}
