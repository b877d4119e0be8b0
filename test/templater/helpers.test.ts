import { describe, expect, it } from "vitest";
import type { Instance } from "../../src/instance.ts";
import { close } from "../../src/nearest.ts";
import type { Format } from "../../src/templater/escape/format.ts";
import { helpers } from "../../src/templater/helpers/index.ts";
import { compileTemplate, renderTemplate } from "../../src/templater/render.ts";
import type { TextFile } from "../../src/templater/text-file.ts";
import { instance, worldOf } from "./golden/world.ts";

const files: Readonly<Record<string, TextFile>> = {
  "/etc/portolan/below.txt": { text: "below" },
  "/abs.txt": { text: "absolute" },
};

const world = {
  file: (path: string) => files[path] ?? { problem: "does not exist" },
  ...worldOf(
    [
      instance({ service: "db", id: "db1", role: "master", port: 5432, tags: ["sql"], meta: { v: "1" } }),
      instance({
        service: "db",
        id: "db2",
        role: "slave",
        port: 5432,
        node: "h2",
        tags: ["sql", "eu"],
        meta: { v: "2" },
      }),
      instance({ service: "db", id: "db3", role: "slave", port: 443, state: "draining", tags: ["old"] }),
      instance({ service: "two", id: "t1", role: "master" }),
      instance({ service: "two", id: "t2", role: "master" }),
      instance({ service: "down", state: "unhealthy", tags: ["z", "a"] }),
      instance({ service: "v6", address: "2001:db8::1", port: 80 }),
      instance({
        service: "tagged",
        tags: ["x", "share=3=4", "share=5", "empty="],
        meta: { p: "99", to: "/abs" },
      }),
    ],
    { SET: "x", EMPTY: "" },
  ),
};

function print(text: string, format: Format): string {
  const rendered = renderTemplate(
    compileTemplate({
      path: "/etc/portolan/t",
      text: `{{#with (parseJSON '{"lf":"\\n"}') as |given|}}${text}{{/with}}`,
      partials: new Map(),
      format,
    }),
    world,
  );
  return rendered.status === "rendered" ? rendered.text : "waiting";
}

/** The value of an expression, through a template as a person would write it. */
const evaluate = (expression: string): unknown => JSON.parse(print(`{{json ${expression}}}`, "json"));

const ids = (expression: string) => `(pluck ${expression} "id")`;
const many = '(split "b,a,c,a" ",")';

const values: readonly (readonly [expression: string, value: unknown])[] = [
  // data
  [ids('(service "db")'), ["db1", "db2"]],
  [ids('(service "db" state="any")'), ["db1", "db2", "db3"]],
  [ids('(service "db" state="draining")'), ["db3"]],
  [ids('(service "db" tag="eu")'), ["db2"]],
  [ids('(service "db" role="master")'), ["db1"]],
  [ids('(service "db" node="h2")'), ["db2"]],
  [ids('(service "db" tag="sql" node="h1")'), ["db1"]],
  ['(service "none")', []],
  ['(pluck (services) "name")', ["db", "down", "tagged", "two", "v6"]],
  ['(pluck (services tag="a") "name")', ["down"]],
  ['(first (where (services) "name" "down"))', { name: "down", tags: ["a", "z"], instances: [] }],
  ['(pluck (where (services) "name" "db") "tags")', [["eu", "old", "sql"]]],
  ['(lookup (master "db") "id")', "db1"],
  ['(master "two")', null],
  ['(master "none")', null],
  [ids('(slaves "db")'), ["db2"]],
  ['(env "SET")', "x"],
  ['(env "EMPTY" default="d")', "d"],
  ['(env "NONE" default="d")', "d"],
  ['(env "NONE" default="")', ""],
  ["(node)", "lb1"],
  // lists
  ['(len (lookup (byTag (service "db")) "sql"))', 2],
  ['(len (byTag (service "db" state="any")))', 3],
  ['(len (byPort (service "db" state="any")))', 2],
  ['(len (byMeta (service "db" state="any") "v"))', 2],
  ['(len (byMeta (service "db" state="any") "v" default="0"))', 3],
  ['(len (lookup (groupBy (service "db" state="any") "node") "h1"))', 2],
  [ids('(where (service "db") "meta.v" "2")'), ["db2"]],
  [ids('(where (service "db") "meta.v" 2)'), ["db2"]],
  [ids('(where (service "db" state="any") "meta.v")'), ["db1", "db2"]],
  [ids('(where (service "db") "meta.v" "2" not=true)'), ["db1"]],
  ['(where (split "a,b,c" ",") "." anyOf=(split "c,a,x" ","))', ["a", "c"]],
  ['(where (split "a,b,c" ",") "." anyOf=(split "c,a,x" ",") not=true)', ["b"]],
  ['(where (split "a+b a+b+c b" " ") "." separator="+" allOf=(split "b,a" ","))', ["a+b", "a+b+c"]],
  ['(where (parseJSON \'[{"t":["x","y"]},{"t":["y"]},{}]\') "t" anyOf=(split "x" ","))', [{ t: ["x", "y"] }]],
  ['(keys (parseJSON \'{"b":1,"a":2}\'))', ["a", "b"]],
  ['(sortBy (split "b,c,a" ",") "." descending=true)', ["c", "b", "a"]],
  [ids('(sortBy (service "db" state="any") "port")'), ["db3", "db1", "db2"]],
  [ids('(sortBy (service "db" state="any") "meta.v")'), ["db3", "db1", "db2"]],
  [`(first ${many})`, "b"],
  [`(first ${many} 2)`, ["b", "a"]],
  [`(first ${many} 0)`, []],
  ['(first (service "none"))', null],
  [`(last ${many})`, "a"],
  [`(last ${many} 2)`, ["c", "a"]],
  [`(last ${many} 0)`, []],
  [`(unique ${many})`, ["b", "a", "c"]],
  [`(contains ${many} "c")`, true],
  [`(contains ${many} "d")`, false],
  ['(contains "abc" "bc")', true],
  [`(in "c" ${many})`, true],
  ['(in 5432 (pluck (service "db") "port"))', true],
  ['(hasTag (master "db") "sql")', true],
  ['(hasTag (master "db") "no")', false],
  [`(len ${many})`, 4],
  ['(len "abc")', 3],
  [`(index ${many} 1)`, "a"],
  [`(index ${many} 9)`, null],
  [`(join ${many} "-")`, "b-a-c-a"],
  // texts
  ['(split "" ",")', []],
  ['(split "a" ",")', ["a"]],
  ['(replace "a.b.c" "." "$&")', "a$&b$&c"],
  ['(trim "  a ")', "a"],
  ['(trimPrefix "abc" "a")', "bc"],
  ['(trimPrefix "abc" "b")', "abc"],
  ['(trimSuffix "abc" "c")', "ab"],
  ['(trimSuffix "abc" "")', "abc"],
  ['(toLower "Ab")', "ab"],
  ['(toUpper "Ab")', "AB"],
  ['(bracket "::1")', "[::1]"],
  ['(bracket "1.2.3.4")', "1.2.3.4"],
  ['(hash "a")', "ca978112ca1b"],
  // logic
  ['(eq 80 "80")', true],
  ['(eq "a" "b")', false],
  ['(eq nothing "")', false],
  ['(ne "a" "b")', true],
  ["(lt 9 10)", true],
  ['(lt "9" "10")', true],
  ["(gt 9 10)", false],
  ['(and 1 "x")', "x"],
  ['(and 0 "x")', 0],
  // What is missing decides, as 0 does.
  ['(and (first (range 0 0)) "x")', null],
  ['(or (and (lookup (parseJSON "{}") "a") "x") "y")', "y"],
  ['(or "" "x")', "x"],
  ['(or "" 0)', 0],
  ["(not 0)", true],
  ['(not (service "none"))', true],
  ["(add 1 2)", 3],
  ['(sub "5" 2)', 3],
  ['(default nothing "x")', "x"],
  ['(default "" "x")', "x"],
  ["(default 0 1)", 0],
  ['(coalesce nothing "" "x" "y")', "x"],
  ["(coalesce nothing 0)", 0],
  ['(coalesce nothing "")', null],
  // numbers
  ["(mul 3 4)", 12],
  ["(div 7 2)", 3],
  ["(div -7 2)", -3],
  ["(div 7.5 2)", 3.75],
  ["(mod 7 2)", 1],
  ["(mod -7 2)", -1],
  ['(min 3 "1" 2)', 1],
  ["(max 3 1 2)", 3],
  ["(seq 2 4)", [2, 3, 4]],
  ["(seq 3)", [1, 2, 3]],
  ["(seq 4 2)", []],
  ["(seq 1 100000)", expect.toSatisfy((all: number[]) => all.length === 100_000)],
  ["(range 2 4)", [2, 3]],
  ["(range 3)", [0, 1, 2]],
  ["(range 0)", []],
  // lists, again
  [`(index ${many} -1)`, "a"],
  ['(index (service "db") 1 "meta" "v")', "2"],
  ['(lookup (master "db") "constructor")', null],
  ['(tagValue (first (service "tagged")) "share")', "3=4"],
  ['(tagValue (first (service "tagged")) "empty")', ""],
  ['(tagValue (first (service "tagged")) "none" default="1")', "1"],
  ['(default (tagValue (first (service "tagged")) "none") "d")', "d"],
  // texts, again
  ['(printf "%s %v %d|%5d|%-5s|%05d|%+d" "a" 1 2 3 "b" -4 5)', "a 1 2|    3|b    |-0004|+5"],
  ['(printf "%x %.2f %f %q %%" 255 1.5 2 "a b")', 'ff 1.50 2.000000 "a b" %'],
  ['(printf "plain")', "plain"],
  ['(printf "%.2s|%5.1s|%.9q" "äbc" "xy" "z")', 'äb|    x|"z"'],
  ['(indent (printf "a%s%sb" lf lf) 2)', "  a\n\n  b"],
  ['(regexMatch "web-12" "^web-[0-9]+$")', true],
  ['(regexMatch "web" "(?i)WEB")', true],
  ['(regexMatch "web" "x")', false],
  ['(regexReplace "a-1 b-2" "([a-z])-([0-9])" "$2$1")', "1a 2b"],
  [`(regexReplace "a-1" "(?P<letter>[a-z])" "$\{letter}$\{letter}")`, "aa-1"],
  ['(regexReplace "a" "a" "\\$")', "$"],
  ['(base64Encode "ä?")', "w6Q/"],
  ['(base64Decode "w6Q/")', "ä?"],
  ['(base64Decode "w6Q_")', "ä?"],
  ['(sha256 "a")', "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"],
  [`(parseJSON '{"a":[1,null],"__proto__":2}')`, JSON.parse('{"a":[1,null],"__proto__":2}')],
  // output
  ['(ip "::1")', "::1"],
  ['(hostname "a.b-c_d")', "a.b-c_d"],
  ['(file "below.txt")', "below"],
  ['(file "/abs.txt")', "absolute"],
  ['(file "missing.txt" default="d")', "d"],
  ['(len (portRoutes (services) "p"))', 1],
  ['(hostport (first (service "v6")))', "[2001:db8::1]:80"],
  ['(hostport (master "db"))', "10.0.0.1:5432"],
];

const printed: readonly (readonly [template: string, format: Format, text: string])[] = [
  ['{{quote "a b"}}', "haproxy", "'a b'"],
  ['{{quote "a b"}}', "nginx", '"a b"'],
  ['{{slug "a b"}}', "nginx", "a_b-c8687a08aa5d"],
  ['{{json (split "a,b" ",")}}', "yaml", '["a","b"]'],
  ['{{quote (json (split "a,b" ","))}}', "haproxy", `'["a","b"]'`],
  ['{{slug "1 a"}}', "env", "_1_a_2735d0823be7"],
  ['{{slug "a.b"}}', "toml", "a_b-2e7336dc8eba"],
  ['{{yaml (split "a,no" ",")}}', "yaml", '- a\n- "no"'],
  ['{{indent (yaml (split "a,b" ",")) 2}}', "yaml", "  - a\n  - b"],
  ['{{set "a" 1}}{{get "a"}}{{get "b" default=2}}', "haproxy", "12"],
  ['{{mapSet "m" "b" 2}}{{mapSet "m" "a" 1}}{{mapSet "m" "b" 3}}{{join (mapValues "m") ","}}', "text", "1,3"],
  ['{{#each (mapValues "none")}}x{{else}}none{{/each}}', "text", "none"],
  [
    '{{mapSet "m" "b" 2}}{{mapSet "m" "__proto__" 1}}{{#each (get "m")}}{{@key}}={{this}} {{/each}}',
    "text",
    "__proto__=1 b=2 ",
  ],
  ['{{quote (quote "a")}}', "haproxy", "''\\''a'\\'''"],
  ['{{#each (byPort (service "db" state="any"))}}{{@key}} {{/each}}', "haproxy", "443 5432 "],
  ['{{#each (byTag (service "db" state="any"))}}{{@key}} {{/each}}', "haproxy", "eu old sql "],
  ["{{#each (httpRoutes (services))}}{{@key}}{{len this}} {{/each}}", "haproxy", "pools0 sites0 "],
];

describe("helpers", () => {
  it.each(values)("%s", (expression, value) => {
    expect(evaluate(expression)).toEqual(value);
  });

  it.each(printed)("%s in %s is %s", (template, format, text) => {
    expect(print(template, format)).toBe(text);
  });

  it("each have an example", () => {
    const examples = [...values, ...printed].map(([example]) => example).join("\n");
    // Keys have theirs in keys.test.ts, over stores that hold some; containers in containers.test.ts.
    const elsewhere = ["key", "keyExists", "ls", "tree", "containers"];
    const without = [...helpers.keys()].filter(
      (name) => !elsewhere.includes(name) && !new RegExp(`[({]${name}[ )]`).test(examples),
    );
    expect(without).toEqual([]);
  });

  it.each([
    ['{{json (split "a" ",")}}', "haproxy"],
    ['{{trim (quote "a b")}}', "nginx"],
    ['{{quote "$x"}}', "nginx"],
  ] as const)("%s does not pass in %s", (template, format) => {
    expect(() => print(template, format)).toThrowError("cannot stand in a");
  });
});

// Each error names the helper and the place; what it says of the argument stands here.
describe("wrong arguments", () => {
  it.each<readonly [expression: string, message: string]>([
    ["(div 1 0)", "div cannot divide by 0"],
    ["(mod 1 0)", "mod cannot divide by 0"],
    ['(max 1 "x")', 'max needs a number, not "x"'],
    ["(seq 1 1000000000)", "seq gives at most 100000 numbers, not 1000000000"],
    ["(range 0.5)", "range needs whole numbers"],
    ['(printf "%d" 1.5)', "printf needs a whole number for %d, not 1.5"],
    ['(printf "%s")', "printf has no value for %s: 0 are given"],
    ['(printf "%s" 1 2)', "printf takes 1 values for this format, not 2"],
    ['(printf "%z" 1)', "printf does not know %z; it knows %s"],
    ['(printf "%9999s" 1)', "printf does not know %9"],
    ['(indent "a" 1000)', "indent needs a width from 0 to 100"],
    ['(regexMatch "a" "(")', 'regexMatch cannot read the pattern "(": missing closing )'],
    ['(regexMatch "a" "(?=a)")', "regexMatch cannot read the pattern"],
    ['(regexReplace "a" "a" "$9")', 'regexReplace cannot replace by "$9"'],
    ['(base64Decode "a b")', "base64Decode needs a text in Base64"],
    ['(parseJSON "secret")', "parseJSON needs a text that is JSON"],
    ['(tagValue (master "db") (split "a" ","))', "tagValue needs a text, not a list"],
    ['(split "a" "")', "split needs a separator that is not empty"],
    [
      '(file "missing.txt")',
      'file /etc/portolan/missing.txt does not exist; mend it, or write (file … default="…")',
    ],
    [
      '(file (printf "%s.txt" (lookup (index (service "tagged") 0 "meta") "to")))',
      "file may read /abs.txt only if",
    ],
    ['(file (printf "../%s" "x"))', "file may read /etc/x only if the path stands in the template"],
    ['(get "none")', "has no value"],
    ['(portRoutes (services) "p" least="x")', 'portRoutes needs a number, not "x"'],
  ])("%s", (expression, message) => {
    expect(() => print(`{{join ${expression} ""}}{{${expression.slice(1, -1)}}}`, "text")).toThrowError();
    expect(() => print(`{{${expression.slice(1, -1)}}}`, "text")).toThrowError(
      expect.objectContaining({ code: "TEMPLATE", message: expect.stringContaining(message) }),
    );
  });

  it.each([
    ['{{ip "web"}}', "ip"],
    ['{{hostname "a b"}}', "hostname"],
  ])("%s cannot stand in a file", (template) => {
    expect(() => print(template, "text")).toThrowError("cannot stand in a text file");
  });
});

// Whatever a template asks for, and whatever a registry says, a helper comes back soon and holds little memory.
describe("bounds", () => {
  const long = "a".repeat(1_000_000);
  const timed = (template: string, fields: Partial<Instance>) => {
    const text = `{{#each (service "web")}}${template}{{/each}}`;
    const compiled = compileTemplate({ path: "t", text, partials: new Map(), format: "text" });
    const started = performance.now();
    try {
      renderTemplate(compiled, worldOf([instance(fields)]));
    } finally {
      expect(performance.now() - started).toBeLessThan(20_000);
    }
  };

  it.each([
    ['{{replace meta.long "a" meta.long}}', "replace would give a text of more than 64 MB"],
    ['{{regexMatch meta.long "a"}}', "regexMatch needs a text of at most 16384 characters"],
    ['{{regexMatch "a" meta.long}}', "regexMatch needs a pattern of at most 512 characters"],
    ['{{regexReplace "a" "a" meta.long}}', "regexReplace needs a replacement of at most 512 characters"],
    [
      '{{#each (seq 8)}}{{set "x" (printf "%s%s" (get "x" default=../meta.long) (get "x" default=../meta.long))}}{{/each}}',
      "needs a text of at most 4 MB",
    ],
    [
      '{{#each (seq 99)}}{{mapSet "m" "a" (get "v" default=1)}}{{mapSet "m" "b" (get "v" default=1)}}{{set "v" (mapValues "m")}}{{/each}}{{json (get "v")}}',
      "json takes this render beyond",
    ],
    [
      '{{#each (seq 99)}}{{mapSet "m" "a" (get "v" default=1)}}{{mapSet "m" "b" (get "v" default=1)}}{{set "v" (mapValues "m")}}{{/each}}{{yaml (get "v")}}',
      "yaml takes this render beyond",
    ],
    ["{{#each (seq 100000)}}{{#each (seq 100000)}}{{/each}}{{/each}}", "takes this render beyond"],
    [
      '{{#each (seq 100000)}}{{#if (regexMatch ../meta.hard "(x+x+)+y")}}{{/if}}{{/each}}',
      "regexMatch takes this",
    ],
  ])("%s", (template, message) => {
    const meta = { long, hard: "x".repeat(10_000) };
    expect(() => timed(template, { meta })).toThrowError(message);
  });

  it.each(["(a+)+$", "(a|a)*b", "(a?){500}a{500}", "(.*)*x", "(a+)+b|a{900}c"])(
    "the pattern %s",
    (pattern) => {
      const hard = `${"a".repeat(16_000)}!`;
      const attempt = () => timed(`{{#if (regexMatch meta.hard "${pattern}")}}{{/if}}`, { meta: { hard } });
      try {
        attempt();
      } catch (error) {
        expect(error).toMatchObject({ message: expect.stringContaining("takes this render beyond") });
      }
    },
  );
});

describe("the name that was probably meant", () => {
  it.each([
    ["toUper", "toUpper"],
    ["servcies", "services"],
    ["JOIN", "join"],
    ["frobnicate", undefined],
  ])("%s: %s", (name, meant) => {
    expect(close(name, helpers.keys())).toBe(meant);
  });
});
