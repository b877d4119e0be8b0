import type { Budget } from "../../handlebars/budget.ts";
import { isContainer, type Refusable, type View } from "../view.ts";

/** A value that the file cannot hold, and where the template was when it came up. */
export interface Question {
  readonly value: string;
  /** Tells which texts would have been fine. */
  readonly accepts: (text: string) => boolean;
  /** What the `{{#each}}` and `{{#with}}` around it are at, the innermost first. */
  readonly subjects: readonly unknown[];
  readonly view: View;
  /** The texts in the template's own expressions. */
  readonly literals: ReadonlySet<string>;
  readonly budget: Budget;
}

/**
 * The instances, or containers of this host, in which a refused value stands: those nearest to the place in the template that hold it, or
 * part of it, in a field that is itself not acceptable. A value that helpers have changed beyond recognition
 * belongs to the instance whose turn it is, unless it comes from a variable or the template itself. Empty when
 * it stands in none.
 */
export function blame({ value, accepts, subjects, view, literals, budget }: Question): readonly Refusable[] {
  const read = view.refusable();
  const related = relatedTo(value);
  const guilty = (text: string) => {
    budget.spend(text.length >> 8);
    if (accepts(text)) return false;
    budget.spend(value.length >> 8);
    return related(text);
  };
  const holders = (scope: readonly Refusable[]) => {
    budget.spend(scope.length);
    return scope.filter((instance) => textsOf(instance).some(guilty));
  };
  let only: readonly Refusable[] = [];
  for (const subject of subjects) {
    const scope = instancesIn(subject, read);
    const found = holders(scope);
    if (found.length > 0) return found;
    if (only.length === 0 && scope.length === 1) only = scope;
  }
  const found = holders([...read]);
  if (found.length > 0) return found;
  return [...view.variables(), ...literals].some(guilty) ? [] : only;
}

/** Of a text that is looked for in another one, so many characters tell enough, and are found in linear time. */
const telling = 256;

/** Tells whether a text is part of `value`, or holds it. Every text holds the empty one, so that must be equal. */
function relatedTo(value: string): (text: string) => boolean {
  const x = value.toLowerCase();
  return (text) => {
    if (text === "" || value === "") return text === value;
    const y = text.toLowerCase();
    return y.length > x.length ? y.includes(x.slice(0, telling)) : x.includes(y.slice(0, telling));
  };
}

/** An instance, a list of them, or what has one as a field: a service, a group, a pool. */
function instancesIn(subject: unknown, read: ReadonlySet<Refusable>): readonly Refusable[] {
  if (typeof subject !== "object" || subject === null) return [];
  const isRead = (value: unknown): value is Refusable => read.has(value as Refusable);
  if (isRead(subject)) return [subject];
  return Array.isArray(subject) ? subject.filter(isRead) : Object.values(subject).flat().filter(isRead);
}

function textsOf(i: Refusable): readonly string[] {
  if (isContainer(i)) return textsIn(i);
  const { claim, container } = i;
  return [
    ...[i.id, i.service, i.address, i.node, ...i.tags, ...Object.entries(i.meta).flat()],
    ...[i.owner, claim?.by, claim?.epoch, container?.id, container?.name, container?.image].filter(
      (text) => text !== undefined,
    ),
  ];
}

/** Every text in a value and below, and the names of its fields. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [name, ...textsIn(inner)]);
}
