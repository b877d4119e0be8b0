import { PortolanError } from "../../errors.ts";
import type { Instance } from "../../instance.ts";
import { type Owner, ownerText } from "../backend.ts";

/**
 * Throws NOT_OWNER for a record of another owner, and for one without an owner that is not adopted. Whoever holds
 * a node replaces what another engine left under its name: nobody else keeps that alive.
 */
export function assertOurs(record: Instance, us: Owner, adopt: (id: string) => boolean): void {
  const { id, owner } = record;
  if (owner === undefined ? adopt(id) : owner === ownerText(us) || nodeOf(owner) === us.node) return;
  const whose = owner === undefined ? "has no owner" : `belongs to ${owner}`;
  throw new PortolanError("NOT_OWNER", `record ${id} ${whose}; it was left alone`);
}

/** No engine's id has a slash. */
const nodeOf = (owner: string) => owner.slice(0, owner.lastIndexOf("/"));
