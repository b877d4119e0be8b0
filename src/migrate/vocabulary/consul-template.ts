import { textLiteral } from "../convert/literal.ts";
import {
  any,
  listOf,
  mapOf,
  NotTurned,
  number,
  type Shape,
  text,
  truth,
  type Value,
} from "../convert/shape.ts";
import { call, strict } from "../convert/value.ts";
import { serviceCall } from "./consul-query.ts";
import { type Entry, expect, fieldless, joining, literal, none, same, to, type Vocabulary } from "./entry.ts";
import { pair, service } from "./instance.ts";
import { replacing } from "./replacement.ts";
import { sprig } from "./sprig.ts";

const listShape = ([first]: readonly Value[]): Shape =>
  first?.shape.kind === "list" ? mapOf(first.shape) : mapOf(any);

const noVault =
  "keep secrets out of the file: let the proxy read them, or write them with Vault's agent beside it";
const noNomad = "Nomad's registry is no backend";
const noConnect = "Consul's service mesh is not read";

/** consul-template's functions. */
export const consulTemplate: Vocabulary = {
  // The catalog.
  service: {
    args: '"[TAG.]NAME[|any]"',
    here: '`(service "NAME" tag="TAG" state="any")`',
    turn: serviceCall,
  },
  services: {
    args: "",
    here: "`(services)`",
    turn: (args) => {
      expect(args, 0, 0);
      return { code: "(services)", shape: listOf(service), free: true };
    },
    differs:
      "services whose instances are all unhealthy stay in the list, as in Consul; `consul` itself is one",
  },
  node: none('["NAME"]', "`(node)` is the name of this host; other hosts are not read"),
  nodes: none("", "hosts are not read; `{{node}}` of an instance is the name of its host"),
  datacenters: none("", "one backend is one datacenter: one templater for each, with `?dc=`"),
  connect: none('"NAME"', noConnect),
  caRoots: none("", noConnect),
  caLeaf: none('"NAME"', noConnect),
  partitions: none("", "say it in the backend's URL: `?partition=`"),
  peerings: none("", "peers are not read"),
  exportedServices: none('"NAME"', "peers are not read"),
  importedServices: none('"NAME"', "peers are not read"),
  // Keys.
  key: to("key $1", text),
  keyOrDefault: {
    args: "a b",
    here: '`(default (key a default="") b)`, as a key with an empty value counts as none',
    turn: keyOr,
  },
  keyExists: to("keyExists $1", truth),
  ls: to("ls $1", listOf(pair)),
  tree: to("tree $1", listOf(pair)),
  safeLs: to("ls $1 required=true", listOf(pair)),
  safeTree: to("tree $1 required=true", listOf(pair)),
  // Elsewhere.
  secret: none('"PATH"', noVault),
  secrets: none('"PATH"', noVault),
  pkiCert: none('"PATH"', noVault),
  nomadService: none('"NAME"', noNomad),
  nomadServices: none("", noNomad),
  nomadVar: none('"PATH"', noNomad),
  nomadVarList: none('"PATH"', noNomad),
  nomadVarListSafe: none('"PATH"', noNomad),
  nomadVarExists: none('"PATH"', noNomad),
  file: {
    args: '"PATH"',
    here: '`{{{file "PATH"}}}`',
    turn: (args) => {
      expect(args, 1, 1);
      return { ...call("file", args, text), raw: true };
    },
  },
  env: {
    args: '"A"',
    here: '`(env "A" default="")`',
    turn: (args) => {
      expect(args, 1, 1);
      return call("env", args, text, ' default=""');
    },
  },
  mustEnv: to("env $1", text),
  envOrDefault: {
    args: '"A" b',
    here: '`(env "A" default=b)`',
    turn: (args) => {
      expect(args, 2, 2);
      return call("env", args.slice(0, 1), text, ` default=${strict(args[1] as Value).code}`);
    },
    differs: "a variable that is empty counts as none",
  },
  // Scratch.
  "scratch.Key": {
    args: '"a"',
    here: '`(get "a" default="")` in a condition',
    turn: (args) => call("get", args, truth, ' default=""'),
    differs: "a value that is empty, 0 or false counts as none",
  },
  "scratch.Get": {
    args: '"a"',
    here: '`(get "a")`',
    turn: (args) => ({ ...call("get", args, any), maybe: true, free: false }),
  },
  "scratch.Set": fieldless(to("set $1 $2", text)),
  "scratch.SetX": fieldless({
    args: '"a" b',
    here: '`(set "a" (get "a" default=b))`',
    turn: (args) => {
      expect(args, 2, 2);
      const [name, value] = args as [Value, Value];
      const kept = call("get", [name], any, ` default=${strict(value).code}`);
      return call("set", [name, kept], text);
    },
  }),
  "scratch.MapSet": fieldless(to("mapSet $1 $2 $3", text)),
  "scratch.MapSetX": fieldless(
    to("mapSet $1 $2 $3", text, "of two values with one key the last stays, not the first"),
  ),
  "scratch.MapValues": to("mapValues $1", listOf(any)),
  // Lists and maps.
  byTag: to("byTag $1", listShape),
  byPort: to("byPort $1", listShape),
  byMeta: {
    args: '"a" LIST',
    here: '`(byMeta LIST "a")`, one key',
    turn: (args) => {
      expect(args, 2, 2);
      const wanted = literal(args[0], "the key");
      if (/[,|]/.test(wanted)) {
        throw new NotTurned('it groups by several keys or converts; nest {{#each (byMeta list "key")}}');
      }
      return call("byMeta", [args[1] as Value, args[0] as Value], listShape(args.slice(1)));
    },
    differs:
      "instances without the key are left out; `default=` gives them a group; names of groups keep all their letters",
  },
  byKey: none("LIST", 'ask for one folder at a time: `(ls "a")`'),
  contains: { args: "a LIST", here: "`(contains LIST a)`", turn: (args) => looked(args[1], args[0], args) },
  in: { args: "LIST a", here: "`(contains LIST a)`", turn: (args) => looked(args[0], args[1], args) },
  containsAll: several("containsAll", "and", false),
  containsAny: several("containsAny", "or", false),
  containsNone: several("containsNone", "or", true),
  containsNotAll: several("containsNotAll", "and", true),
  explode: none("PAIRS", 'ask for the keys that you need: `(key "a/b")`'),
  explodeMap: none("MAP", "name the fields: `{{lookup}}`"),
  mergeMap: none("a b", "`{{default a b}}` for each field"),
  mergeMapWithOverride: none("a b", "`{{default a b}}` for each field"),
  loop: {
    args: "[a] b",
    here: "`(range a b)`",
    turn: (args) => {
      expect(args, 1, 2);
      return call("range", args, listOf(number));
    },
  },
  executeTemplate: none('"NAME" a', "a partial: `{{> name a}}`"),
  // Texts.
  join: joining("SEP LIST", 1),
  split: {
    args: "a b",
    here: "`(split (trim b) a)`",
    turn: (args) => {
      expect(args, 2, 2);
      const [separator, value] = args as [Value, Value];
      const { literal: written } = value;
      const trimmed = written === undefined ? call("trim", [value], text) : textLiteral(written.trim());
      return call("split", [trimmed, separator], listOf(text));
    },
  },
  splitToMap: none("a b TEXT", "`(split TEXT a)`, then `split` each"),
  trim: {
    args: '"CHARS" TEXT',
    here: '`(regexReplace TEXT "^[CHARS]+|[CHARS]+$" "")`',
    turn: (args) => {
      expect(args, 2, 2);
      const set = literal(args[0], "the set of characters").replace(/[\\\]^[-]/g, "\\$&");
      const pattern = textLiteral(`^[${set}]+|[${set}]+$`);
      return call("regexReplace", [args[1] as Value, pattern, textLiteral("")], text);
    },
  },
  trimPrefix: to("trimPrefix $2 $1", text),
  trimSuffix: to("trimSuffix $2 $1", text),
  trimSpace: to("trim $1", text),
  replaceAll: to("replace $3 $1 $2", text),
  regexMatch: to("regexMatch $2 $1", truth),
  regexReplaceAll: replacing([2, 0, 1]),
  toLower: to("toLower $1", text),
  toUpper: to("toUpper $1", text),
  toTitle: none("TEXT", "write it as it has to stand"),
  indent: to("indent $2 $1", text),
  // Values as texts, and back.
  parseBool: {
    args: "a",
    here: '`(eq a "true")`',
    turn: (args) => call("eq", [...args, textLiteral("true")], truth),
    differs: "1, t, T and TRUE count as false",
  },
  parseInt: same(number, "the text itself: helpers take it for a number"),
  parseUint: same(number, "the text itself: helpers take it for a number"),
  parseFloat: {
    ...same(number, "the text itself: helpers take it for a number"),
    differs: "of two whole numbers `div` gives a whole one",
  },
  parseJSON: {
    args: "TEXT",
    here: "`(parseJSON TEXT)`",
    turn: (args) => {
      expect(args, 1, 1);
      const items = textsIn(args[0]?.literal);
      return { ...call("parseJSON", args, items ? listOf(text) : any), ...(items && { items }) };
    },
    differs: "an empty object counts as true in a condition; keys stay in their order",
  },
  parseYAML: none("TEXT", "keep it as JSON: `(parseJSON …)`"),
  toJSON: fieldless(to("json $1", text)),
  toJSONPretty: fieldless(to("json $1", text, "in one line")),
  toUnescapedJSON: fieldless(to("json $1", text)),
  toUnescapedJSONPretty: fieldless(to("json $1", text, "in one line")),
  toYAML: fieldless(to("yaml $1", text)),
  toTOML: none("a", "write the keys, with `{{json}}` for texts, numbers and lists"),
  base64Encode: to("base64Encode $1", text),
  base64Decode: to("base64Decode $1", text),
  base64URLEncode: none("a", "`(base64Encode a)` with two `replace`"),
  base64URLDecode: to("base64Decode $1", text),
  sha256Hex: to("sha256 $1", text),
  md5sum: none("a", "`(hash a)` or `(sha256 a)`"),
  hmacSHA256Hex: none("a b", "compute it before it is registered"),
  // Numbers: the last argument comes first here, as one writes it.
  add: to("add $2 $1", number),
  subtract: to("sub $2 $1", number),
  multiply: to("mul $2 $1", number),
  divide: to("div $2 $1", number),
  modulo: to("mod $2 $1", number),
  minimum: to("min $2 $1", number),
  maximum: to("max $2 $1", number),
  // What a template cannot do here.
  timestamp: none("", "leave it out: a file that holds the time never equals itself"),
  plugin: none(
    '"CMD" a…',
    "templates start nothing; write a file or a key by a timer, and read it: `(file …)`, `(key …)`",
  ),
  sockaddr: none('"…"', "give it in the environment: `(env …)`"),
  writeToFile: none("…", "one template for each file; `forEach` for one file for each service"),
  spew_dump: none("a", "`{{json a}}` in a template of its own, with `portolan render`"),
  spew_printf: none('"…" a', "`{{json a}}` in a template of its own, with `portolan render`"),
  spew_sdump: none("a", "`{{json a}}` in a template of its own, with `portolan render`"),
  spew_sprintf: none('"…" a', "`{{json a}}` in a template of its own, with `portolan render`"),
  ...Object.fromEntries(Object.entries(sprig).map(([name, entry]) => [`sprig_${name}`, entry])),
};

/** The texts of a list in JSON; undefined when it is none. */
function textsIn(json: string | undefined): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(json ?? "null");
    return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
  } catch {
    return undefined;
  }
}

function keyOr(args: readonly Value[]): Value {
  expect(args, 2, 2);
  const [name, fallback] = args as [Value, Value];
  const found = call("key", [name], text, ' default=""');
  return fallback.literal === "" ? found : call("default", [found, fallback], text);
}

function looked(list: Value | undefined, value: Value | undefined, args: readonly Value[]): Value {
  expect(args, 2, 2);
  return call("contains", [list as Value, value as Value], truth);
}

/** `containsAll LIST LIST` and its like, where the first list is written out. */
function several(name: string, joint: string, negated: boolean): Entry {
  const shown = `(${joint} (contains LIST "a") (contains LIST "b"))`;
  return {
    args: "WANTED LIST",
    here: `\`${negated ? `(not ${shown})` : shown}\`; not turned where \`WANTED\` is computed`,
    turn: (args) => {
      expect(args, 2, 2);
      const wanted = args[0]?.items;
      if (wanted === undefined) throw new NotTurned(`${name} with a computed list; write ${shown}`);
      const all = wanted.map((one) => call("contains", [args[1] as Value, textLiteral(one)], truth));
      const made = all.length === 1 ? (all[0] as Value) : call(joint, all, truth);
      return negated ? call("not", [made], truth) : made;
    },
  };
}
