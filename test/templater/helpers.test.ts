import { describe, expect, it } from "vitest";
import type { Format } from "../../src/templater/escape/format.ts";
import { helpers } from "../../src/templater/helpers/index.ts";
import { nearest } from "../../src/templater/helpers/nearest.ts";
import { compileTemplate, renderTemplate } from "../../src/templater/render.ts";
import { instance, worldOf } from "./golden/world.ts";

const world = worldOf(
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
  ],
  { SET: "x", EMPTY: "" },
);

function print(text: string, format: Format): string {
  const rendered = renderTemplate(compileTemplate({ path: "t", text, partials: new Map(), format }), world);
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
  ['(pluck (services) "name")', ["db", "down", "two", "v6"]],
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
  ['(or "" "x")', "x"],
  ['(or "" 0)', 0],
  ["(not 0)", true],
  ['(not (service "none"))', true],
  ["(add 1 2)", 3],
  ['(sub "5" 2)', 3],
  ['(default nothing "x")', "x"],
  ['(default "" "x")', "x"],
  ["(default 0 1)", 0],
  // output
  ['(hostport (first (service "v6")))', "[2001:db8::1]:80"],
  ['(hostport (master "db"))', "10.0.0.1:5432"],
];

const printed: readonly (readonly [template: string, format: Format, text: string])[] = [
  ['{{quote "a b"}}', "haproxy", "'a b'"],
  ['{{quote "a b"}}', "nginx", '"a b"'],
  ['{{slug "a b"}}', "nginx", "a_b-c8687a08aa5d"],
  ['{{json (split "a,b" ",")}}', "yaml", '["a","b"]'],
  ['{{quote (json (split "a,b" ","))}}', "haproxy", `'["a","b"]'`],
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
    const without = [...helpers.keys()].filter((name) => !new RegExp(`[({]${name}[ )]`).test(examples));
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

describe("nearest", () => {
  it.each([
    ["toUper", "toUpper"],
    ["servcies", "services"],
    ["JOIN", "join"],
    ["frobnicate", undefined],
  ])("%s: %s", (name, meant) => {
    expect(nearest(name, helpers.keys())).toBe(meant);
  });
});
