import { PortolanError } from "../../errors.ts";
import type { Instance } from "../../instance.ts";
import { type Owner, ownerText } from "../backend.ts";

/**
 * Throws NOT_OWNER for a record of another owner, and for one without an owner that is not adopted. Whoever holds
 * a node replaces what another engine left under its name: nobody else keeps that alive.
 */
export function assertOurs(record: Instance, us: Owner, adopt: (id: string) => boolean): void {
  const { id, owner } = record;
  if (owner === undefined ? adopt(id) : isOfNode(owner, us.node)) return;
  const whose = owner === undefined ? "has no owner" : `belongs to ${owner}`;
  throw new PortolanError("NOT_OWNER", `record ${id} ${whose}; it was left alone`);
}

/**
 * What becomes of a record when `us` takes the node: it is "ours", also where we `inherit` it; "left" by an
 * engine that had the node before and is gone, which nobody else would ever remove; or of no concern.
 */
export function fateOf(
  { owner }: Instance,
  us: Owner,
  inherits: string | undefined,
): "ours" | "left" | undefined {
  if (owner === undefined) return undefined;
  if (!isOfNode(owner, us.node)) return undefined;
  return owner === ownerText(us) || owner === inherits ? "ours" : "left";
}

/** No engine's id has a slash. */
const isOfNode = (owner: string, node: string) => owner.slice(0, owner.lastIndexOf("/")) === node;
