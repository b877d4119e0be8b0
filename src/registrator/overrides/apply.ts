import type { Instance, Role } from "../../instance.ts";
import type { Order, Override } from "../../override.ts";
import { limits, whyNoTag } from "../rules/limits.ts";
import type { Outcome, Reasoned, Remark } from "../rules/outcome.ts";
import { shown } from "../rules/shown.ts";

const roles: readonly string[] = ["master", "slave"] satisfies readonly Role[];

/** Whether an override is about this record: by its id as it runs in this container, or by its node. */
export function isAbout({ target }: Override, { id, node, container }: Instance): boolean {
  if (target.node !== node) return false;
  if (target.id === undefined) return true;
  return target.id === id && (target.container === undefined || target.container === container?.id);
}

/**
 * The instances as the overrides want them, in the same order; those that none is about are the same objects. A
 * role among the tags is what a label would make of it; where the role is elected or probed, it is left out, with
 * a remark. Whoever drains is `draining`, whatever its health.
 */
export function withOverrides(registered: readonly Reasoned[], overrides: readonly Override[]): Outcome {
  if (overrides.length === 0) return { registered, remarks: [] };
  const remarks: Remark[] = [];
  return {
    registered: registered.map((one) =>
      overrides
        .filter((override) => isAbout(override, one.instance))
        .reduce((before, { tags, drain }) => {
          const tagged = tags ? withTags(before, tags, remarks) : before;
          return drain ? drained(tagged, drain) : tagged;
        }, one),
    ),
    remarks,
  };
}

function withTags(reasoned: Reasoned, order: NonNullable<Override["tags"]>, remarks: Remark[]): Reasoned {
  const { instance, origins, roleSource, port } = reasoned;
  const refuse = (what: string) => {
    const way = `\`portolan tag ${instance.id}\` changes it`;
    remarks.push({
      kind: "mistake",
      code: "OVERRIDE",
      container: instance.container?.name ?? instance.id,
      ...(port !== undefined && { port }),
      reason: `override by ${shown(order.by)}: ${what}; ${way}`,
    });
  };
  const usable = (tag: string): boolean => {
    const why =
      roleSource !== undefined && roles.includes(tag)
        ? `is the role, which ${roleSource.by === "elect" ? "an election" : "the server itself"} decides`
        : whyNoTag(tag);
    if (why !== undefined) refuse(`the tag ${shown(tag)} ${why} (it is left as it is)`);
    return why === undefined;
  };
  const added = order.added.filter(usable);
  const removed = new Set(order.removed.filter(usable));
  const given = added.filter((tag) => roles.includes(tag)) as readonly Role[];
  if (given.length > 1) refuse("it is both master and slave (no role is used)");
  const role = given.length > 1 ? undefined : (given[0] ?? kept(instance.role, removed));
  const tags = new Set([...instance.tags, ...added].filter((tag) => !removed.has(tag)));
  if (roleSource === undefined && role !== instance.role) {
    for (const word of roles) tags.delete(word);
    if (role !== undefined) tags.add(role);
  }
  if (tags.size > 2 * limits.tags) refuse(`more than ${2 * limits.tags} tags (the others are left out)`);
  const { role: _, ...rest } = instance;
  const from = `override ${said(order)}`;
  return {
    ...reasoned,
    instance: {
      ...rest,
      tags: [...tags].slice(0, 2 * limits.tags),
      ...(role !== undefined && { role }),
    },
    origins: {
      ...origins,
      tags: instance.tags.length === 0 ? from : `${origins.tags}, ${from}`,
      ...(role !== instance.role && { role: from }),
    },
  };
}

function kept(role: Role | undefined, removed: ReadonlySet<string>): Role | undefined {
  return role === undefined || removed.has(role) ? undefined : role;
}

function drained(reasoned: Reasoned, order: Order): Reasoned {
  const { instance, origins } = reasoned;
  return {
    ...reasoned,
    instance: { ...instance, state: "draining" },
    origins: { ...origins, state: `override ${said(order)}` },
  };
}

function said({ by, since, until }: Order): string {
  return `by ${shown(by)} since ${since}${until === undefined ? "" : ` until ${until}`}`;
}
