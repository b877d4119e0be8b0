import { textLiteral } from "../convert/literal.ts";
import { any, listOf, NotTurned, number, type Shape, text, truth, type Value } from "../convert/shape.ts";
import { call, fieldOf, strict } from "../convert/value.ts";
import { expect, joining, literal, none, same, to, type Vocabulary } from "./entry.ts";

const noSecrets = "encrypted values are not read; keep them out of the registry";
const noDns =
  "names are not looked up while a file is made; register what they stand for, or let the proxy resolve";

/** Where the keys of confd's templates stand. */
export interface Place {
  /** Before each key. */
  readonly prefix: string;
  /** Whether the store has the slash at the start of keys, as etcd has. */
  readonly slash: boolean;
  /** The folder below which `<service>/<id>` is `ip:port`, as registrator writes it: read as services. */
  readonly services?: string | undefined;
}

/** confd's functions, for keys at a place. */
export function confd({ prefix, slash, services }: Place): Vocabulary {
  /** A key as it stands in the store. */
  const keyOf = (value: Value | undefined): Value => {
    if (value === undefined) throw new NotTurned("it needs a key");
    const full = (part: string) => `${prefix}/${part}`.replace(/\/+/g, "/").replace(/^\/?/, slash ? "/" : "");
    if (value.literal !== undefined) return textLiteral(full(value.literal));
    const { pieces } = value;
    if (pieces === undefined) throw new NotTurned("its key is computed; write (key (printf …))");
    const [first, ...others] = pieces;
    const parts = typeof first === "string" ? [full(first), ...others] : [full(""), ...pieces];
    const format = parts
      .map((part) => (typeof part === "string" ? part.replaceAll("%", "%%") : "%s"))
      .join("");
    const values = parts.filter((part): part is Value => typeof part !== "string");
    return call("printf", [textLiteral(format), ...values], text);
  };

  /** The folder of `gets "/folder/*"`. */
  const folderOf = (value: Value | undefined): string => {
    const pattern = literal(value, "its pattern");
    const folder = /^(.*)\/\*$/.exec(pattern)?.[1];
    if (folder === undefined || /[*?[\\]/.test(folder)) {
      throw new NotTurned(
        `the pattern "${pattern}"; only all keys of one folder are asked for: (ls "folder"), (tree "folder")`,
      );
    }
    return folder;
  };

  /** The service whose folder this is, with `end` after it. */
  const serviceIn = (value: Value | undefined, end: string): Value | undefined => {
    if (services === undefined || value === undefined) return undefined;
    const start = `${services}/`;
    if (value.literal !== undefined) {
      const full = `${prefix}/${value.literal}`.replace(/\/+/g, "/");
      if (!full.startsWith(start) || !full.endsWith(end)) return undefined;
      const name = full.slice(start.length, full.length - end.length);
      return name === "" || name.includes("/") || name.includes("*") ? undefined : textLiteral(name);
    }
    const [first, name, last, ...more] = value.pieces ?? [];
    const isFolder = typeof first === "string" && `${prefix}/${first}`.replace(/\/+/g, "/") === start;
    if (!isFolder || typeof name !== "object" || more.length > 0 || (last ?? "") !== end) return undefined;
    return name;
  };

  const instancesOf = (name: Value, shape: Shape): Value => call("service", [name], listOf(shape));

  const pairs = (value: Value | undefined): Value => {
    const service = serviceIn(value, "/*");
    if (service) return instancesOf(service, registered);
    const folder = folderOf(value);
    return call("ls", [keyOf(textLiteral(folder))], listOf(pairIn(folder)), " required=true");
  };

  const emptyIsRendered = services !== undefined && {
    differs:
      "a service without instances is an empty list, and the file is written; `guard: { requireNonEmpty: true }` keeps the last one",
  };

  return {
    // Keys.
    get: {
      args: '"/a"',
      here: '`(key "a")`, for its `.Value`',
      turn: (args) => {
        expect(args, 1, 1);
        const name = args[0] as Value;
        const key = keyOf(name);
        const value = call("key", [key], text);
        return {
          ...value,
          shape: {
            kind: "record",
            name: "a key",
            fields: { Value: { make: () => value }, Key: { make: () => name } },
          },
        };
      },
    },
    getv: {
      args: '"/a" [b]',
      here: '`(key "a")`, `(key "a" default=b)`',
      turn: (args) => {
        expect(args, 1, 2);
        const fallback = args[1] === undefined ? "" : ` default=${strict(args[1]).code}`;
        return call("key", [keyOf(args[0])], text, fallback);
      },
    },
    gets: {
      args: '"/a/*"',
      here: '`(ls "a" required=true)`, with `key` and `value`',
      turn: (args) => {
        expect(args, 1, 1);
        return pairs(args[0]);
      },
      ...emptyIsRendered,
    },
    getvs: {
      args: '"/a/*"',
      here: '`(pluck (sortBy (ls "a" required=true) "value") "value")`',
      turn: (args) => {
        expect(args, 1, 1);
        const service = serviceIn(args[0], "/*");
        if (service) return instancesOf(service, { kind: "text", through: "hostport" });
        const sorted = call("sortBy", [pairs(args[0]), textLiteral("value")], any);
        return call("pluck", [sorted, textLiteral("value")], listOf(text));
      },
      ...emptyIsRendered,
    },
    exists: {
      args: '"/a"',
      here: '`(keyExists "a")`',
      turn: (args) => {
        expect(args, 1, 1);
        return call("keyExists", [keyOf(args[0])], truth);
      },
    },
    ls: {
      args: '"/a"',
      here: '`(pluck (ls "a") "key")`',
      turn: (args) => {
        expect(args, 1, 1);
        const service = serviceIn(args[0], "");
        if (service)
          return call("pluck", [instancesOf(service, registered), textLiteral("id")], listOf(text));
        return call("pluck", [call("ls", [keyOf(args[0])], any), textLiteral("key")], listOf(text));
      },
      differs: "it lists keys; folders are not among them",
    },
    lsdir: {
      args: '"/a"',
      here: 'not turned: folders are not listed; `(tree "a")` has all keys below. With `--services /a`: `(pluck (services) "name")`',
      turn: (args) => {
        expect(args, 1, 1);
        const full = `${prefix}/${args[0]?.literal ?? ""}`.replace(/\/+/g, "/").replace(/\/$/, "");
        if (services !== undefined && full === services) {
          return call(
            "pluck",
            [{ code: "(services)", shape: any, free: true }, textLiteral("name")],
            listOf(text),
          );
        }
        throw new NotTurned(
          'folders are not listed; (tree "a") has all keys below, and --services FOLDER reads those of registrator',
        );
      },
    },
    cget: none('"/a"', noSecrets),
    cgetv: none('"/a"', noSecrets),
    cgets: none('"/a/*"', noSecrets),
    cgetvs: none('"/a/*"', noSecrets),
    // Texts and values.
    getenv: {
      args: '"A" [b]',
      here: '`(env "A" default=b)`',
      turn: (args) => {
        expect(args, 1, 2);
        const fallback = args[1] === undefined ? '""' : strict(args[1]).code;
        return call("env", args.slice(0, 1), text, ` default=${fallback}`);
      },
    },
    json: to("parseJSON $1", any),
    jsonArray: to("parseJSON $1", listOf(any)),
    map: none("a b…", "give them to a partial by name: `{{> name a=b}}`"),
    base: {
      args: "a",
      here: '`key` for the `.Key` of `gets`; else `(regexReplace a "^.*/" "")`',
      turn: (args) => {
        expect(args, 1, 1);
        const base = args[0]?.base;
        if (base !== undefined) return base;
        return call("regexReplace", [...args, textLiteral("^.*/"), textLiteral("")], text);
      },
    },
    dir: {
      args: "a",
      here: '`(regexReplace a "/[^/]*$" "")`',
      turn: (args) => {
        expect(args, 1, 1);
        return call("regexReplace", [...args, textLiteral("/[^/]*$"), textLiteral("")], text);
      },
    },
    split: to("split $1 $2", listOf(text)),
    join: joining("LIST SEP", 0),
    replace: {
      args: "a b c -1",
      here: "`(replace a b c)`",
      turn: (args) => {
        expect(args, 4, 4);
        if (args[3]?.literal !== "-1")
          throw new NotTurned("only every occurrence (-1) is replaced here; write (regexReplace …)");
        return call("replace", args.slice(0, 3), text);
      },
    },
    contains: to("contains $1 $2", truth),
    trimSuffix: to("trimSuffix $1 $2", text),
    toUpper: to("toUpper $1", text),
    toLower: to("toLower $1", text),
    datetime: none("", "leave it out: a file that holds the time never equals itself"),
    lookupIP: none('"NAME"', noDns),
    lookupIPV4: none('"NAME"', noDns),
    lookupIPV6: none('"NAME"', noDns),
    lookupSRV: none("…", noDns),
    fileExists: none('"PATH"', '`(file "PATH" default="")` in a condition reads it'),
    base64Encode: to("base64Encode $1", text),
    base64Decode: to("base64Decode $1", text),
    parseBool: {
      ...to("eq $1 $2", truth),
      args: "a",
      here: '`(eq a "true")`',
      turn: (args) => call("eq", [...args, textLiteral("true")], truth),
      differs: "1, t, T and TRUE count as false",
    },
    reverse: none("LIST", 'sort by what it should be sorted by: `(sortBy LIST "…")`'),
    sortByLength: none("LIST", '`(sortBy LIST ".")` sorts by letters'),
    sortKVByLength: none("LIST", '`(sortBy LIST "key")` sorts by letters'),
    add: to("add $1 $2", number),
    sub: to("sub $1 $2", number),
    div: to("div $1 $2", number),
    mod: to("mod $1 $2", number),
    mul: to("mul $1 $2", number),
    seq: to("seq $1 $2", listOf(number)),
    atoi: same(number, "the text itself: helpers take it for a number"),
  };
}

/** An instance, where confd has its key and `ip:port`. */
const registered: Shape = {
  kind: "record",
  name: "an instance",
  fields: {
    Key: {
      make: (of) => {
        const id = { ...fieldOf({ ...of, shape: any }, "id", new Set()), shape: text, maybe: false };
        return { ...id, base: id };
      },
    },
    Value: { make: (of) => call("hostport", [of], text) },
  },
};

/** A key of a folder: `.Key` has the folder before it. */
function pairIn(folder: string): Shape {
  return {
    kind: "record",
    name: "a key",
    fields: {
      Key: {
        make: (of) => {
          const base = fieldOf({ ...of, shape: any }, "key", new Set());
          const sure = { ...base, shape: text, maybe: false };
          return {
            ...call("printf", [textLiteral(`${folder}/%s`), sure], text),
            base: sure,
            pieces: [`${folder}/`, sure],
          };
        },
      },
      Value: { to: "value", shape: text },
    },
  };
}
