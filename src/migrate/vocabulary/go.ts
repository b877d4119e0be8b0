import { textLiteral } from "../convert/literal.ts";
import { any, NotTurned, number, type Shape, text, truth, type Value } from "../convert/shape.ts";
import { call, itemOf, joined } from "../convert/value.ts";
import { expect, none, to, type Vocabulary } from "./entry.ts";

/** The functions that every Go template has. */
export const go: Vocabulary = {
  printf: {
    args: '"…" a…',
    here: '`(printf "…" a…)`; printed, the text around the values, and each value for itself',
    turn: (args) => {
      const [format, ...values] = args;
      const whole = call("printf", args, text);
      if (format?.literal === undefined) return whole;
      const verbs = format.literal.match(/%[^a-zA-Z%]*[a-zA-Z%]/g) ?? [];
      const known = verbs.every((verb) => /^%([-+0]*\d{0,3}(\.\d{1,2})?[svdfxq]|%)$/.test(verb));
      if (!known) throw new NotTurned("its format is more than %s, %v, %d, %f, %x, %q and %% here");
      const plain = verbs.every((verb) => /^%[svd]$/.test(verb));
      return plain && verbs.length === values.length
        ? joined(interleaved(format.literal.split(/%[svd]/), values), whole)
        : whole;
    },
  },
  print: {
    args: "a…",
    here: "the values one after the other",
    turn: (args) => {
      if (args.some(({ shape }) => shape.kind === "number")) {
        throw new NotTurned("it puts blanks between numbers; write (printf …)");
      }
      return joined(args, call("printf", [textLiteral("%s".repeat(args.length)), ...args], text));
    },
  },
  println: none("a…", "write the values and the end of the line"),
  index: {
    args: "a b…",
    here: "`(index a b…)`, `(lookup a b)`",
    turn: (args) => {
      const [of, ...keys] = args;
      if (of === undefined || keys.length === 0) throw new NotTurned("it needs what to look for");
      return keys.reduce(itemOf, of);
    },
  },
  len: { ...to("len $1", number), here: "`(len a)`; of a text its letters, not its bytes" },
  eq: {
    args: "a b…",
    here: "`(eq a b)`; with more, `(or (eq a b) (eq a c))`",
    turn: (args) => {
      expect(args, 2, 12);
      const [first, ...others] = args as [Value, ...Value[]];
      const all = others.map((other) => compared("eq", first, other));
      return all.length === 1 ? (all[0] as Value) : call("or", all, truth);
    },
  },
  ne: { args: "a b", here: "`(ne a b)`", turn: (args) => pair("ne", args) },
  lt: { args: "a b", here: "`(lt a b)`, numbers only", turn: (args) => pair("lt", args) },
  gt: { args: "a b", here: "`(gt a b)`, numbers only", turn: (args) => pair("gt", args) },
  le: {
    args: "a b",
    here: "`(not (gt a b))`, numbers only",
    turn: (args) => call("not", [pair("gt", args)], truth),
  },
  ge: {
    args: "a b",
    here: "`(not (lt a b))`, numbers only",
    turn: (args) => call("not", [pair("lt", args)], truth),
  },
  and: { args: "a…", here: "`(and a…)`", turn: (args) => asked("and", args) },
  or: { args: "a…", here: "`(or a…)`", turn: (args) => asked("or", args) },
  not: { args: "a", here: "`(not a)`", turn: (args) => asked("not", args) },
  slice: none("a b c", "`(first a n)` and `(last a n)` of lists"),
  html: none("a", "nothing here is HTML; leave it out"),
  js: none("a", "`(json a)`"),
  urlquery: none("a", "write what is registered as it has to stand"),
  call: none("a…", "leave it out: there are no functions in data"),
};

function interleaved(texts: readonly string[], values: readonly Value[]): readonly (string | Value)[] {
  return texts.flatMap((part, at) => [part, ...values.slice(at, at + 1)]).filter((part) => part !== "");
}

/** A comparison takes what has no value for what it is: unequal to all. */
function compared(helper: string, a: Value, b: Value): Value {
  const empty = a.literal === "" || b.literal === "";
  return call(
    helper,
    empty
      ? [a, b]
      : [
          { ...a, maybe: false },
          { ...b, maybe: false },
        ],
    truth,
  );
}

function pair(helper: string, args: readonly Value[]): Value {
  expect(args, 2, 2);
  const [a, b] = args as [Value, Value];
  if (helper === "ne") return compared(helper, a, b);
  if (a.shape.kind === "text" && b.shape.kind === "text") {
    throw new NotTurned("the order of texts is not asked here; only that of numbers is");
  }
  return call(helper, [a, b], truth);
}

function asked(helper: string, args: readonly Value[]): Value {
  expect(args, 1, 20);
  const shape: Shape = helper === "not" ? truth : (sharedShape(args) ?? any);
  const sure = args.map((arg) =>
    arg.shape.kind === "map" ? call("len", [arg], number) : { ...arg, maybe: false },
  );
  return { ...call(helper, sure, shape), maybe: helper !== "not" && args.some(({ maybe }) => maybe) };
}

function sharedShape(args: readonly Value[]): Shape | undefined {
  const [first] = args;
  return args.every(({ shape }) => shape.kind === first?.shape.kind) ? first?.shape : undefined;
}
