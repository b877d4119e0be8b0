import { textLiteral } from "../convert/literal.ts";
import { any, listOf, mapOf, NotTurned, type Shape, text, truth, type Value } from "../convert/shape.ts";
import { call, itemOf, strict } from "../convert/value.ts";
import { container } from "./container.ts";
import { expect, fieldless, joining, literal, none, to, type Vocabulary } from "./entry.ts";
import { either, firstOf, matched, sorted, sprig } from "./sprig.ts";

const whole = ([list]: readonly Value[]): Shape => list?.shape ?? any;
const emptyIsNone = "a value that is empty counts as none";

/** docker-gen's functions; Sprig's stand behind them. */
export const dockerGen: Vocabulary = {
  ...sprig,
  where: { args: 'LIST "A.B" c', here: '`(where LIST "a.B" c)`', turn: (args) => chosen(args, 3) },
  whereExist: {
    args: 'LIST "A.B"',
    here: '`(where LIST "a.B")`',
    turn: (args) => chosen(args, 2),
    differs: emptyIsNone,
  },
  whereLabelExists: {
    args: 'LIST "a"',
    here: '`(containers label="a")`; of a part of them `(where LIST "labels.a")`, for which an empty label counts as none',
    turn: (args) => withLabel(args),
  },
  whereNot: {
    args: 'LIST "A.B" c',
    here: '`(where LIST "a.B" c not=true)`',
    turn: (args) => chosen(args, 3, " not=true"),
  },
  whereNotExist: {
    args: 'LIST "A.B"',
    here: '`(where LIST "a.B" not=true)`',
    turn: (args) => chosen(args, 2, " not=true"),
    differs: emptyIsNone,
  },
  whereAny: {
    args: 'LIST "A.B" "," WANTED',
    here: '`(where LIST "a.B" separator="," anyOf=WANTED)`',
    turn: (args) => chosenParts(args, "anyOf"),
  },
  whereAll: {
    args: 'LIST "A.B" "," WANTED',
    here: '`(where LIST "a.B" separator="," allOf=WANTED)`',
    turn: (args) => chosenParts(args, "allOf"),
  },
  whereLabelDoesNotExist: {
    args: 'LIST "a"',
    here: '`(where LIST "labels.a" not=true)`',
    turn: (args) => chosen(labelled(args), 2, " not=true"),
    differs: emptyIsNone,
  },
  whereLabelValueMatches: none(
    'LIST "a" "PATTERN"',
    '`{{#each}}` over all, and `{{#if (regexMatch (default (lookup labels "a") "") "PATTERN")}}` inside of it',
  ),
  groupBy: { args: 'LIST "A.B"', here: '`(groupBy LIST "a.B")`', turn: (args) => grouped(args) },
  groupByWithDefault: {
    args: 'LIST "A.B" c',
    here: '`(groupBy LIST "a.B" default=c)`',
    turn: (args) => {
      expect(args, 3, 3);
      return grouped(args.slice(0, 2), ` default=${strict(args[2] as Value).code}`);
    },
  },
  groupByMulti: {
    args: 'LIST "A.B" ","',
    here: '`(groupBy LIST "a.B" separator=",")`',
    turn: (args) => {
      expect(args, 3, 3);
      return grouped(args.slice(0, 2), ` separator=${strict(args[2] as Value).code}`);
    },
  },
  groupByKeys: {
    args: 'LIST "A.B"',
    here: '`(keys (groupBy LIST "a.B"))`',
    turn: (args) => call("keys", [grouped(args)], listOf(text)),
  },
  groupByLabel: {
    args: 'LIST "a"',
    here: '`(groupBy LIST "labels.a")`',
    turn: (args) => grouped(labelled(args)),
  },
  groupByLabelWithDefault: {
    args: 'LIST "a" c',
    here: '`(groupBy LIST "labels.a" default=c)`',
    turn: (args) => {
      expect(args, 3, 3);
      return grouped(labelled(args.slice(0, 2)), ` default=${strict(args[2] as Value).code}`);
    },
  },
  coalesce: { args: "a…", here: "`(coalesce a…)`", turn: (args) => firstOf("coalesce", args) },
  closest: none("LIST a", "find it with `{{#each}}` and `{{set}}`"),
  comment: none('"#" TEXT', "write the comment, with one value in it: `# {{x}}`"),
  contains: {
    args: 'MAP "a"',
    here: '`(lookup MAP "a")` in a condition',
    turn: (args) => {
      expect(args, 2, 2);
      return { ...itemOf(args[0] as Value, args[1] as Value), maybe: false, shape: truth };
    },
    differs: emptyIsNone,
  },
  dir: none('"PATH"', "folders are not listed; `(file …)` reads a file"),
  eval: none('"NAME" a', "a partial: `{{> name a}}`, which one that is printed by itself becomes"),
  exists: {
    args: '"PATH"',
    here: '`(file "PATH" default="")` in a condition reads it',
    turn: (args) => ({ ...fileOf(args), shape: truth }),
    differs: "a file that is empty counts as none",
  },
  include: {
    args: '"PATH"',
    here: '`{{{file "PATH" default=""}}}`',
    turn: (args) => ({ ...fileOf(args), raw: true }),
  },
  intersect: {
    args: "a b",
    here: '`(unique (where a "." anyOf=b))`',
    turn: (args) => {
      expect(args, 2, 2);
      const [one, other] = args as [Value, Value];
      const both = call("where", [one, textLiteral(".")], one.shape, ` anyOf=${strict(other).code}`);
      return call("unique", [both], one.shape);
    },
  },
  keys: {
    args: "MAP",
    here: "`(keys MAP)`",
    turn: (args) => {
      expect(args, 1, 1);
      if (args[0]?.shape.kind !== "map" && args[0]?.shape.kind !== "any")
        throw new NotTurned("it asks for the keys of something that is no map here");
      return call("keys", args, listOf(text));
    },
  },
  hasPrefix: { args: '"a" TEXT', here: '`(regexMatch TEXT "^a")`', turn: (args) => matched(args, "^", "") },
  hasSuffix: { args: '"a" TEXT', here: '`(regexMatch TEXT "a$")`', turn: (args) => matched(args, "", "$") },
  json: fieldless(to("json $1", text)),
  parseJson: to("parseJSON $1", any),
  fromYaml: none("TEXT", "keep it as JSON: `(parseJSON …)`"),
  mustFromYaml: none("TEXT", "keep it as JSON: `(parseJSON …)`"),
  toYaml: fieldless(to("yaml $1", text)),
  mustToYaml: fieldless(to("yaml $1", text)),
  parseBool: {
    args: "a",
    here: '`(eq a "true")`',
    turn: (args) => call("eq", [...args, textLiteral("true")], truth),
    differs: "1, t, T and TRUE count as false",
  },
  queryEscape: none("TEXT", "write it in the label as it has to stand"),
  replace: {
    args: "TEXT a b -1",
    here: "`(replace TEXT a b)`",
    turn: (args) => {
      expect(args, 4, 4);
      if (args[3]?.literal !== "-1") throw new NotTurned("only every occurrence (-1) is replaced here");
      return call("replace", args.slice(0, 3), text);
    },
  },
  sha1: none("TEXT", "`(hash TEXT)` or `(sha256 TEXT)`: other digits, as stable"),
  split: to("split $1 $2", listOf(text)),
  splitN: none("TEXT SEP n", "`(split TEXT SEP)`, then `first` or `last`"),
  join: joining("LIST SEP", 0),
  sortStringsAsc: { args: "LIST", here: '`(sortBy LIST ".")`', turn: (args) => sorted(args) },
  sortStringsDesc: {
    args: "LIST",
    here: '`(sortBy LIST "." descending=true)`',
    turn: (args) => sorted(args, " descending=true"),
  },
  sortObjectsByKeysAsc: {
    args: 'LIST "A.B"',
    here: '`(sortBy LIST "a.B")`',
    turn: (args) => sortedByField(args),
  },
  sortObjectsByKeysDesc: {
    args: 'LIST "A.B"',
    here: '`(sortBy LIST "a.B" descending=true)`',
    turn: (args) => sortedByField(args, " descending=true"),
  },
  toLower: to("toLower $1", text),
  toUpper: to("toUpper $1", text),
  trim: to("trim $1", text),
  trimPrefix: to("trimPrefix $2 $1", text),
  trimSuffix: to("trimSuffix $2 $1", text),
  when: {
    args: 'c "a" b',
    here: '`(or (and c "a") b)`; where `a` may be empty `{{#if c}}a{{else}}b{{/if}}`',
    turn: (args) => {
      expect(args, 3, 3);
      return either(args[0] as Value, args[1] as Value, args[2] as Value);
    },
  },
  mustBeOneOf: none(
    "…",
    "a value that the file's grammar does not admit takes its container out; `{{#if}}` asks for more",
  ),
  mustBeInt: none("a", '`{{#if (regexMatch a "^[0-9]+$")}}`'),
  mustBeIntInRange: none("a b c", "`{{#if (and (gt a b) (lt a c))}}`"),
  nginxQuote: to("quote $1", text, "quotes whatever the value is, and refuses `$`"),
  nginxMustParseHSTS: none("a", "`{{quote a}}`"),
  sprigCoalesce: to("coalesce $1 $2", any),
  sprigContains: to("contains $2 $1", truth),
  sprigDir: none("PATH", '`(regexReplace PATH "/[^/]*$" "")`'),
  sprigReplace: to("replace $3 $1 $2", text),
  sprigSplit: to("split $2 $1", listOf(text)),
  sprigSplitn: none("SEP n TEXT", "`(split TEXT SEP)`, then `first` or `last`"),
};

/** `Env.VIRTUAL_HOST` as the path of a field of the list's items here: `env.VIRTUAL_HOST`. Throws NotTurned. */
function pathOf(value: Value | undefined, list: Value): Value {
  const names = literal(value, "the field").split(".");
  const out: string[] = [];
  let shape: Shape = list.shape.kind === "list" ? list.shape.of : container;
  for (const [at, name] of names.entries()) {
    if (shape.kind !== "record") {
      out.push(...names.slice(at));
      break;
    }
    const field = Object.hasOwn(shape.fields, name) ? shape.fields[name] : undefined;
    if (field === undefined || !("to" in field))
      throw new NotTurned(`there is no field ${names.join(".")} here`);
    out.push(field.to);
    shape = field.shape;
  }
  return textLiteral(out.join("."));
}

/** Of all containers, Docker's own question; of some, one about the field. */
function withLabel(args: readonly Value[]): Value {
  const [list] = args;
  if (list?.code !== "(containers)") return chosen(labelled(args), 2);
  expect(args, 2, 2);
  const label = textLiteral(literal(args[1], "the label")).code;
  return { ...list, code: `(containers label=${label})` };
}

function labelled([list, label, ...more]: readonly Value[]): readonly Value[] {
  return [list as Value, textLiteral(`Labels.${literal(label, "the label")}`), ...more];
}

function chosen(args: readonly Value[], count: number, named = ""): Value {
  expect(args, count, count);
  const [list, path, ...wanted] = args as [Value, Value, ...Value[]];
  return call(
    "where",
    [list, pathOf(path, list), ...wanted],
    list.shape.kind === "list" ? list.shape : listOf(container),
    named,
  );
}

/** Those of which a field, taken apart, has any or all of some texts. */
function chosenParts(args: readonly Value[], which: "anyOf" | "allOf"): Value {
  expect(args, 4, 4);
  const [separator, wanted] = [strict(args[2] as Value), strict(args[3] as Value)];
  return chosen(args.slice(0, 2), 2, ` separator=${separator.code} ${which}=${wanted.code}`);
}

function sortedByField(args: readonly Value[], named = ""): Value {
  expect(args, 2, 2);
  return call("sortBy", [args[0] as Value, pathOf(args[1], args[0] as Value)], whole(args), named);
}

/** The text of a file, empty where there is none. */
function fileOf(args: readonly Value[]): Value {
  expect(args, 1, 1);
  return call("file", args, text, ' default=""');
}

function grouped(args: readonly Value[], named = ""): Value {
  expect(args, 2, 2);
  const [list, path] = args as [Value, Value];
  return call(
    "groupBy",
    [list, pathOf(path, list)],
    mapOf(list.shape.kind === "list" ? listOf(list.shape.of) : listOf(container)),
    named,
  );
}
