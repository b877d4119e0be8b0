import { compare } from "../instance.ts";
import { longestOutput, tooLong } from "./budget.ts";
import { field, type Helper, list, number, object, pure, text, truthy, unquoted } from "./helper.ts";
import { equal, order } from "./logic.ts";

/** Named lists; `{{#each}}` walks them in the order of their names: `@key` and the list. */
function group(items: readonly unknown[], keysOf: (item: unknown) => readonly unknown[]): object {
  const groups = new Map<string, unknown[]>();
  for (const item of items) {
    for (const key of keysOf(item)) {
      if (key === undefined || key === null || key === "") continue;
      const name = text(key);
      const before = groups.get(name);
      if (before) before.push(item);
      else groups.set(name, [item]);
    }
  }
  // Without a prototype, a group named __proto__ is a group.
  const named: Record<string, unknown> = Object.create(null);
  for (const [name, items] of groups) named[name] = items;
  return named;
}

/** A value with a separator counts as so many values at most: names and hosts are far fewer. */
const mostParts = 100;

/**
 * What is missing the field gets `fallback`, or is left out when there is none. With a separator an item is in the
 * group of each part.
 */
function groupByField(path: string): Helper["call"] {
  return ([items], { default: fallback, separator }) =>
    group(list(items), (item) => {
      const value = orElse(field(item, path), unquoted(fallback));
      return separator === undefined || value === undefined || value === null
        ? [value]
        : [...partsOf(value, separator)];
    });
}

/** The parts of a value; without a separator it is the only one, or they are the items of a list. */
function partsOf(value: unknown, separator: unknown): ReadonlySet<string> {
  if (value === undefined || value === null) return new Set();
  if (separator !== undefined) return new Set(text(value).split(text(unquoted(separator)), mostParts));
  return new Set((Array.isArray(value) ? value : [value]).map(text));
}

type Named = Readonly<Record<string, unknown>>;

/** What `where` asks of a field. */
function questionOf(
  wanted: readonly unknown[],
  { anyOf, allOf, separator }: Named,
): (value: unknown) => boolean {
  if ([...wanted, anyOf, allOf].filter((one) => one !== undefined).length > 1)
    throw new Error("takes only one of a value, anyOf and allOf");
  const namesOf = (names: unknown) => new Set(list(names).map((name) => text(unquoted(name))));
  if (anyOf !== undefined) {
    const names = namesOf(anyOf);
    return (value) => [...partsOf(value, separator)].some((part) => names.has(part));
  }
  if (allOf !== undefined) {
    const names = [...namesOf(allOf)];
    return (value) => {
      const parts = partsOf(value, separator);
      return names.every((name) => parts.has(name));
    };
  }
  if (wanted.length === 0) return truthy;
  // One that is there but has no value is a mistake, not a question for any value.
  const one = text(wanted[0]);
  return (value) => equal(value, one);
}

function orElse(value: unknown, fallback: unknown): unknown {
  return value === undefined || value === null || value === "" ? fallback : value;
}

function some(items: readonly unknown[], wanted: unknown): boolean {
  return items.some((item) => equal(item, wanted));
}

/** `count` items from the start, or without a count the first one; null when there is none. */
const first = (items: unknown, count: unknown) =>
  count === undefined ? (list(items)[0] ?? null) : list(items).slice(0, Math.max(0, number(count)));

const last = (items: unknown, count: unknown) =>
  count === undefined
    ? (list(items).at(-1) ?? null)
    : list(items).slice(-Math.max(0, number(count)) || Infinity);

/** Lists of instances and of anything else. None changes its argument. */
export const lists: Readonly<Record<string, Helper>> = {
  byTag: pure(1, 1, (items) => group(list(items), (item) => list(object(item).tags))),
  byPort: { arity: [1, 1], named: [], call: groupByField("port") },
  byMeta: {
    arity: [2, 2],
    named: ["default", "separator"],
    call: ([items, key], named, call) => groupByField(`meta.${text(key)}`)([items], named, call),
  },
  groupBy: {
    arity: [2, 2],
    named: ["default", "separator"],
    call: ([items, path], named, call) => groupByField(text(path))([items], named, call),
  },
  where: {
    arity: [2, 3],
    named: ["not", "anyOf", "allOf", "separator"],
    call: (args, named) => {
      const [items, path, ...wanted] = args.map(unquoted);
      const asked = questionOf(wanted, named);
      const isNot = truthy(named.not);
      return list(items).filter((item) => asked(field(item, text(path))) !== isNot);
    },
  },
  sortBy: {
    arity: [2, 2],
    named: ["descending"],
    cost: 10,
    call: (args, { descending }) => {
      const [items, path] = args.map(unquoted);
      const name = text(path);
      const sign = truthy(descending) ? -1 : 1;
      return [...list(items)].sort((a, b) => sign * order(field(a, name), field(b, name)));
    },
  },
  first: pure(1, 2, first),
  last: pure(1, 2, last),
  unique: pure(1, 1, (items) => [...new Set(list(items))]),
  keys: pure(1, 1, (map) => Object.keys(object(map)).sort(compare)),
  pluck: pure(2, 2, (items, path) => list(items).map((item) => field(item, text(path)) ?? null)),
  contains: {
    ...pure(2, 2, (where, wanted) =>
      typeof where === "string" ? where.includes(text(wanted)) : some(list(where), wanted),
    ),
    searches: true,
  },
  in: pure(2, 2, (wanted, items) => some(list(items), wanted)),
  hasTag: pure(2, 2, (instance, tag) => some(list(object(instance).tags), tag)),
  len: pure(1, 1, (value) => {
    if (typeof value === "string") return value.length;
    return Array.isArray(value) ? value.length : value === null ? 0 : Object.keys(object(value)).length;
  }),
  tagValue: {
    arity: [2, 2],
    named: ["default"],
    call: ([instance, name], { default: fallback }) => {
      const start = `${text(unquoted(name))}=`;
      const tags = list(object(instance).tags).map(text);
      return tags.find((tag) => tag.startsWith(start))?.slice(start.length) ?? unquoted(fallback);
    },
  },
  index: pure(2, 5, (value, ...keys) => keys.reduce(item, value)),
  lookup: pure(2, 2, item),
  join: pure(2, 2, (items, separator) => {
    const [words, between] = [list(items).map(text), text(separator)];
    const length = words.reduce((sum, word) => sum + word.length + between.length, 0);
    if (length > longestOutput) throw new Error(tooLong);
    return words.join(between);
  }),
};

/** An item of a list by its number, from the end when it is negative, or an own field of an object. */
function item(value: unknown, key: unknown): unknown {
  if (Array.isArray(value)) return value.at(number(key)) ?? null;
  const fields = object(value);
  const name = text(key);
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}
