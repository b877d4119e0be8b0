import { PortolanError } from "./errors.ts";
import { compare } from "./instance.ts";

/** When and by whom something was asked for, and until when. Times of the wall clock, as RFC 3339 in UTC. */
export interface Order {
  readonly since: string;
  /** A person on a host, or a command, for other people to read: `ann@lb-1`. */
  readonly by: string;
  /** Absent: until it is taken back, or its container is gone. */
  readonly until?: string;
}

/** Tags that an instance has besides those of its container's labels, and tags of those that it has not. */
export interface TagOrder extends Order {
  /** In order; no tag stands in both lists. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** What an override is about: one instance as it runs in one container, or all of a node. */
export interface OverrideTarget {
  /** Absent: all of the node. */
  readonly id?: string;
  readonly node: string;
  /** Of the instance. Where the records name none, the order does not either, until its registrator writes it in. */
  readonly container?: string;
}

/**
 * What operators want of a running instance or of a whole node, as it stands in the backend's notes under
 * `overrides/<id>` and `overrides/node:<node>`. Anybody may write it; the node's registrator applies it, and
 * deletes it when its time or its container is over. A node has no tags.
 */
export interface Override {
  readonly target: OverrideTarget;
  readonly tags?: TagOrder;
  readonly drain?: Order;
}

/** The name of the note that holds the override of a target. */
export function overrideName(target: Pick<OverrideTarget, "id" | "node">): string {
  return target.id ?? `node:${target.node}`;
}

/**
 * The override as its note: JSON, keys in a fixed order, absent when unknown, tags sorted:
 * `{"id","node","container","tags":{"added","removed","since","by","until"},"drain":{"since","by","until"}}`.
 * Undefined where it asks for nothing: then the note is to be removed.
 */
export function encodeOverride({ target, tags, drain }: Override): string | undefined {
  if (!tags && !drain) return undefined;
  return JSON.stringify({
    ...(target.id !== undefined && { id: target.id }),
    node: target.node,
    ...(target.container !== undefined && { container: target.container }),
    ...(tags && {
      tags: { added: inOrder(tags.added), removed: inOrder(tags.removed), ...orderRecord(tags) },
    }),
    ...(drain && { drain: orderRecord(drain) }),
  });
}

/**
 * Reads a note. `name` is what it stands under in its area, `place` where that is, for the error. Unknown keys are
 * ignored, so that an older reader survives a newer writer. Throws RECORD when a field is missing, of the wrong
 * type, or speaks of something else than its name.
 */
export function decodeOverride(name: string, text: string, place: string): Override {
  const bad = (what: string) => new PortolanError("RECORD", `${place}: ${what}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PortolanError("RECORD", `${place}: not JSON`, { cause });
  }
  if (!isObject(value)) throw bad("not a JSON object");

  const textOf = (of: Record<string, unknown>, key: string, path = key): string => {
    const field = of[key];
    if (typeof field === "string" && field !== "") return field;
    throw bad(`"${path}" is not a non-empty string`);
  };
  const timeOf = (of: Record<string, unknown>, key: string, path: string): string => {
    const time = textOf(of, key, path);
    if (Number.isFinite(Date.parse(time))) return time;
    throw bad(`"${path}" is not a time such as 2026-01-31T12:00:00Z`);
  };
  const partOf = (key: string): Record<string, unknown> | undefined => {
    const part = (value as Record<string, unknown>)[key];
    if (part === undefined || isObject(part)) return part;
    throw bad(`"${key}" is not a JSON object`);
  };
  const orderOf = (part: Record<string, unknown>, key: string): Order => ({
    since: timeOf(part, "since", `${key}.since`),
    by: textOf(part, "by", `${key}.by`),
    ...(part.until !== undefined && { until: timeOf(part, "until", `${key}.until`) }),
  });
  const tagsOf = (part: Record<string, unknown>, key: string): readonly string[] => {
    const tags = part[key] ?? [];
    if (Array.isArray(tags) && tags.every((tag) => typeof tag === "string" && tag !== "")) {
      return inOrder(tags);
    }
    throw bad(`"tags.${key}" is not an array of non-empty strings`);
  };

  const node = textOf(value, "node");
  const target: OverrideTarget =
    value.id === undefined
      ? { node }
      : {
          id: textOf(value, "id"),
          node,
          ...(value.container !== undefined && { container: textOf(value, "container") }),
        };
  if (overrideName(target) !== name) throw bad(`it is about "${overrideName(target)}", not "${name}"`);
  const [tags, drain] = [partOf("tags"), partOf("drain")];
  if (tags && target.id === undefined) throw bad('"tags" of a whole node are not possible');
  if (!tags && !drain) throw bad('it has neither "tags" nor "drain"');
  const [added, removed] = tags ? [tagsOf(tags, "added"), tagsOf(tags, "removed")] : [[], []];
  const both = added.find((tag) => removed.includes(tag));
  if (both !== undefined) throw bad(`the tag ${JSON.stringify(both)} is both added and removed`);
  return {
    target,
    ...(tags && { tags: { added, removed, ...orderOf(tags, "tags") } }),
    ...(drain && { drain: orderOf(drain, "drain") }),
  };
}

/** The override of a target with this drain; whatever else was asked of it stays. */
export function withDrain(target: OverrideTarget, before: Override | undefined, drain: Order): Override {
  return { ...kept(target, before), drain };
}

/** The override without its drain. */
export function withoutDrain({ drain: _, ...rest }: Override): Override {
  return rest;
}

/**
 * The override of a target with these tags added and removed, on top of what was asked of its tags before; the
 * later order counts for each tag. The time of the new order is that of all.
 */
export function withTags(target: OverrideTarget, before: Override | undefined, tags: TagOrder): Override {
  const earlier = kept(target, before);
  const added = new Set([...(earlier.tags?.added ?? []), ...tags.added]);
  const removed = new Set([...(earlier.tags?.removed ?? []), ...tags.removed]);
  for (const tag of tags.added) removed.delete(tag);
  for (const tag of tags.removed) added.delete(tag);
  return { ...earlier, tags: { ...tags, added: inOrder(added), removed: inOrder(removed) } };
}

/** What was asked before of the same life of a target: an override goes with its container. */
function kept(target: OverrideTarget, before: Override | undefined): Override {
  return before?.target.container === target.container ? { ...before, target } : { target };
}

function orderRecord({ since, by, until }: Order): Order {
  return { since, by, ...(until !== undefined && { until }) };
}

function inOrder(tags: Iterable<string>): readonly string[] {
  return [...new Set(tags)].sort(compare);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
