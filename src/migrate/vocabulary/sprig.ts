import { textLiteral } from "../convert/literal.ts";
import { any, listOf, NotTurned, number, type Shape, text, truth, type Value } from "../convert/shape.ts";
import { call, condition, inOrder } from "../convert/value.ts";
import { expect, fieldless, joining, literal, none, same, to, type Vocabulary } from "./entry.ts";
import { replacing } from "./replacement.ts";

const item = ([list]: readonly Value[]): Shape => (list?.shape.kind === "list" ? list.shape.of : any);
const whole = ([list]: readonly Value[]): Shape => list?.shape ?? any;

/** Sprig's functions that have a counterpart; every other one is not turned. */
export const sprig: Vocabulary = {
  default: {
    args: "a b",
    here: "`(default b a)`; `(or b a)` where `b` may be a number or false, which count as none",
    turn: (args) => {
      expect(args, 2, 2);
      const [fallback, value] = args as [Value, Value];
      const helper = value.shape.kind === "text" ? "default" : "or";
      return call(helper, [{ ...value, maybe: false }, fallback], fallback.shape);
    },
  },
  coalesce: {
    args: "a…",
    here: "`(coalesce a…)`; `(or a…)` where one may be a number or false, which count as none",
    turn: (args) => firstOf(args.every(({ shape }) => shape.kind === "text") ? "coalesce" : "or", args),
  },
  ternary: {
    args: '"a" b c',
    here: '`(or (and c "a") b)`; where `a` may be empty `{{#if c}}a{{else}}b{{/if}}`',
    turn: (args) => {
      expect(args, 3, 3);
      return either(args[2] as Value, args[0] as Value, args[1] as Value);
    },
  },
  dict: none("a…", "put values aside with `{{set}}`, or give them to a partial by name: `{{> name a=b}}`"),
  list: none("a…", '`(split "a,b" ",")`'),
  trim: to("trim $1", text),
  upper: to("toUpper $1", text),
  lower: to("toLower $1", text),
  quote: to("quote $1", text, "quotes by the grammar of the file"),
  trimPrefix: to("trimPrefix $2 $1", text),
  trimSuffix: to("trimSuffix $2 $1", text),
  replace: to("replace $3 $1 $2", text),
  hasPrefix: { args: "a b", here: '`(regexMatch b "^a")`', turn: (args) => matched(args, "^", "") },
  hasSuffix: { args: "a b", here: '`(regexMatch b "a$")`', turn: (args) => matched(args, "", "$") },
  contains: to("contains $2 $1", truth),
  has: to("contains $2 $1", truth),
  join: joining("SEP LIST", 1),
  splitList: to("split $2 $1", listOf(text)),
  first: { ...to("first $1", item), turn: (args) => oneOf("first", args) },
  last: { ...to("last $1", item), turn: (args) => oneOf("last", args) },
  uniq: to("unique $1", whole),
  sortAlpha: { args: "a", here: '`(sortBy a ".")`', turn: (args) => sorted(args) },
  indent: to("indent $2 $1", text),
  regexMatch: to("regexMatch $2 $1", truth),
  regexReplaceAll: replacing([1, 0, 2]),
  add: to("add $1 $2", number),
  sub: to("sub $1 $2", number),
  mul: to("mul $1 $2", number),
  div: to("div $1 $2", number),
  mod: to("mod $1 $2", number),
  max: to("max $1 $2", number),
  min: to("min $1 $2", number),
  until: to("range $1", listOf(number)),
  b64enc: to("base64Encode $1", text),
  b64dec: to("base64Decode $1", text),
  sha256sum: to("sha256 $1", text),
  toJson: fieldless(to("json $1", text)),
  fromJson: to("parseJSON $1", any),
  int: same(number, "the number or text itself"),
  int64: same(number, "the number or text itself"),
  atoi: same(number, "the text itself: helpers take it for a number"),
  toString: same(text, "the value itself"),
  env: none("a", '`(env "a" default="")`'),
  now: none("", "leave it out: a file that holds the time never equals itself"),
};

/** Of an empty list there is none, as in Go. */
function oneOf(helper: "first" | "last", args: readonly Value[]): Value {
  expect(args, 1, 1);
  return { ...call(helper, args.map(inOrder), item(args)), maybe: true };
}

/** Texts in the order of their letters. */
export function sorted(args: readonly Value[], named = ""): Value {
  expect(args, 1, 1);
  const shape = args[0]?.shape ?? any;
  return call("sortBy", [...args, textLiteral(".")], shape, named);
}

/** One text or the other. Throws NotTurned where the first one is computed or counts as none here. */
export function either(asked: Value, yes: Value, no: Value): Value {
  if (["", "0", "false"].includes(literal(yes, "what it gives then")))
    throw new NotTurned(`${yes.code} counts as none; write {{#if c}}a{{else}}b{{/if}}`);
  const both = call("and", [{ ...asked, code: condition(asked), maybe: false }, yes], yes.shape);
  return call("or", [both, no], yes.shape);
}

/** Whether the second argument begins or ends with the first. */
export function matched(args: readonly Value[], before: string, after: string): Value {
  expect(args, 2, 2);
  const part = literal(args[0], "what it looks for");
  const pattern = `${before}${part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")}${after}`;
  return call("regexMatch", [args[1] as Value, textLiteral(pattern)], truth);
}

/** The first value that there is. */
export function firstOf(helper: "coalesce" | "or", args: readonly Value[]): Value {
  expect(args, 1, 20);
  const all = args.map((arg) => ({ ...arg, maybe: false }));
  return {
    ...call(helper, all, args[0]?.shape ?? any),
    maybe: args.every(({ maybe }) => maybe === true),
  };
}
