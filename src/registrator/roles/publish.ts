import type { Instance } from "../../instance.ts";
import { claimant, type RoleSource } from "./role-source.ts";
import type { Standing } from "./standing.ts";

/** Equal findings give the same object, so that nothing seems to have changed. */
const published = new WeakMap<Instance, { key: string; instance: Instance }>();

/**
 * The instance with the role that was found: the word among its tags, and for a master who claims that. The same
 * instance where the role is unknown.
 */
export function withStanding(
  instance: Instance,
  source: RoleSource,
  standing: Standing | undefined,
): Instance {
  const finding = standing?.finding;
  if (finding === undefined) return instance;
  const { role, epoch } = finding;
  const by = claimant(source);
  const key = JSON.stringify([role, by, epoch]);
  const before = published.get(instance);
  if (before?.key === key) return before.instance;
  const after: Instance = {
    ...instance,
    tags: [...new Set([...instance.tags, role])],
    role,
    ...(role === "master" && { claim: { by, ...(epoch !== undefined && { epoch }) } }),
  };
  published.set(instance, { key, instance: after });
  return after;
}
