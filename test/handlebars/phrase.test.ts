import { describe, expect, it } from "vitest";
import { compilePhrase, isPhrase } from "../../src/handlebars/phrase.ts";
import { pureHelpers } from "../../src/handlebars/pure.ts";
import { helpers } from "../../src/templater/helpers/index.ts";

const values = {
  name: "web",
  port: 80,
  on: true,
  tags: ["a", "b"],
  labels: JSON.parse('{"team": "x", "__proto__": "own", "a.b": "dotted"}') as Record<string, string>,
};
const tell = (text: string) => compilePhrase("--name", text).tell(values);

describe("a phrase", () => {
  it.each([
    ["plain", "plain"],
    ["{{name}}:{{port}}:{{on}}", "web:80:true"],
    ["{{{name}}}", "web"],
    ["<{{name}}>&", "<web>&"],
    ["{{labels.team}}", "x"],
    ["{{lookup labels 'a.b'}}", "dotted"],
    ["{{labels.[a.b]}}", "dotted"],
    ["{{toUpper name}}", "WEB"],
    ["{{join tags '+'}}", "a+b"],
    ["{{#each tags}}{{@index}}{{this}}{{#unless @last}},{{/unless}}{{/each}}", "0a,1b"],
    ["{{#each tags as |tag|}}{{tag}}{{../name}}{{/each}}", "awebbweb"],
    ["{{#if labels.none}}a{{else if on}}b{{else}}c{{/if}}", "b"],
    ["{{#with labels}}{{team}}{{/with}}", "x"],
    ["{{default labels.none 'd'}}", "d"],
    ["{{! a comment }}", ""],
  ])("%s is %j", (text, expected) => expect(tell(text)).toBe(expected));

  it.each([
    ["{{nam}}", '--name:1:1: {{nam}} has no value; did you mean "name"?'],
    ["{{labels.none}}", "--name:1:1: {{labels.none}} has no value; test it with {{#if}}"],
    [
      "{{lookup labels 'none'}}",
      '{{lookup …}} has no value; test it with {{#if}}, or give a default: {{default (lookup …) "…"}}',
    ],
    ["{{tags}}", "{{tags}} is a list"],
    ["{{labels.constructor}}", "has no value"],
    ["{{name.constructor}}", "has no value"],
    ["a\n {{sub name 1}}", "--name:2:2: sub needs a number"],
    ["{{#each name}}{{/each}}", "#each needs a list"],
  ])("%s fails when it is told, with its place", (text, message) => {
    expect(() => tell(text)).toThrow(message);
  });

  it.each([
    ["{{name", "--name:1:"],
    ["{{#if name}}", "ends inside a block"],
    ["{{nope name}}", 'unknown helper "nope"'],
    ["{{env 'HOME'}}", 'unknown helper "env"'],
    ["{{#nope name}}{{/nope}}", 'unknown block "nope"'],
    ["{{> part}}", "there are no partials here"],
    ["{{* deco}}", "decorators"],
    ["{{toUpper}}{{toUpper name name}}", "takes 1 arguments, not 2"],
    ["{{@root.name}}{{@nope}}", "unknown variable @nope"],
  ])("%s does not compile", (text, message) => {
    expect(() => compilePhrase("--name", text)).toThrow(expect.objectContaining({ code: "TEMPLATE" }));
    expect(() => compilePhrase("--name", text)).toThrow(message);
  });

  it("comes to an end", () => {
    const many = "{{#each (split @root.long 'x')}}";
    const phrase = compilePhrase("--name", `${many}${many}${many}{{/each}}{{/each}}{{/each}}`);
    expect(() => phrase.tell({ long: "x".repeat(1000) })).toThrow(/steps/);
  });

  it("has the pure helpers of the load balancers' templates, the very same", () => {
    for (const [name, helper] of Object.entries(pureHelpers)) expect(helpers.get(name)).toBe(helper);
  });

  it("is told from plain text by its braces", () => {
    expect([isPhrase("web"), isPhrase("{web}"), isPhrase("{{web}}")]).toEqual([false, false, true]);
  });
});
