import { holdsRecords, NotTurned, type Shape, text, type Value } from "../convert/shape.ts";
import { call, inOrder } from "../convert/value.ts";

/** How one function of the old templates is turned. */
export interface Entry {
  /** Its arguments as the documentation shows them, e.g. `"SEP" LIST`. */
  readonly args: string;
  /** What stands in its place, as the documentation shows it, or the way out where nothing does. */
  readonly here: string;
  /** Absent: it is not turned. Throws NotTurned. */
  readonly turn?: (args: readonly Value[]) => Value;
  /** What is not quite the same. */
  readonly differs?: string;
}

/** Functions by name. */
export type Vocabulary = Readonly<Record<string, Entry>>;

/** Names of arguments in the documentation. */
const letters = "abcdef";

/**
 * A function that is one of our helpers with its arguments in another order: `to("split $2 $1", …)`. Fewer or
 * more arguments are not turned.
 */
export function to(
  pattern: string,
  shape: Shape | ((args: readonly Value[]) => Shape),
  differs?: string,
): Entry {
  const [helper = "", ...words] = pattern.split(" ");
  const order = words.flatMap((word) => (word.startsWith("$") ? [Number(word.slice(1)) - 1] : []));
  const named = words.filter((word) => !word.startsWith("$")).map((word) => ` ${word}`);
  const count = Math.max(0, ...order.map((at) => at + 1));
  const shown = words.map((word) => (word.startsWith("$") ? letters[Number(word.slice(1)) - 1] : word));
  return {
    args: [...letters.slice(0, count)].join(" "),
    here: `\`(${[helper, ...shown].join(" ")})\``,
    turn: (args) => {
      expect(args, count, count);
      const given = order.flatMap((at) => args[at] ?? []);
      return call(helper, given, typeof shape === "function" ? shape(args) : shape, named.join(""));
    },
    ...(differs !== undefined && { differs }),
  };
}

/** A function whose argument is already what it gives. */
export function same(shape: Shape, here: string): Entry {
  return {
    args: "a",
    here,
    turn: (args) => {
      expect(args, 1, 1);
      return { ...(args[0] as Value), shape };
    },
  };
}

/** A function that has no counterpart, and the way out. */
export function none(args: string, here: string): Entry {
  return { args, here };
}

/** The function for all but values with fields: what it gives would have the names that the fields have here. */
export function fieldless({ turn, ...entry }: Entry): Entry {
  return {
    ...entry,
    turn: (args) => {
      if (args.some(({ shape }) => holdsRecords(shape)))
        throw new NotTurned("its fields have other names here; give it what is read of them, one by one");
      return turn?.(args.map(inOrder)) as Value;
    },
  };
}

/** Throws NotTurned unless there are so many arguments. */
export function expect(args: readonly Value[], least: number, most: number): void {
  if (args.length >= least && args.length <= most) return;
  throw new NotTurned(
    `${args.length} arguments; ${least === most ? least : `${least} to ${most}`} are turned`,
  );
}

/** The text of a literal argument. Throws NotTurned for a computed one. */
export function literal(value: Value | undefined, what: string): string {
  if (value?.literal !== undefined) return value.literal;
  throw new NotTurned(`${what} is computed; only one that is written out is turned`);
}

/** A function that joins a list; the numbers tell which argument is what. */
export function joining(args: string, listAt: 0 | 1): Entry {
  return {
    args,
    here: "`(join LIST SEP)`; printed with a separator that the file's grammar does not admit, `{{#each}}`",
    turn: (given) => {
      expect(given, 2, 2);
      const [list, separator] = [given[listAt] as Value, given[1 - listAt] as Value];
      if (
        list.shape.kind === "list" &&
        list.shape.of.kind === "text" &&
        list.shape.of.through !== undefined
      ) {
        throw new NotTurned(`its items are instances; write {{#each}} and (${list.shape.of.through} this)`);
      }
      const made = call("join", [inOrder(list), separator], text);
      return separator.literal === undefined
        ? made
        : { ...made, joins: { list, separator: separator.literal } };
    },
  };
}
