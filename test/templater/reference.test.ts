import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { helpers } from "../../src/templater/helpers/index.ts";
import { sections } from "./reference/entries.ts";
import { documented, existing, helpersPage } from "./reference/page.ts";

const root = join(import.meta.dirname, "../..");

it("docs/reference/helpers.md is what the helpers and its examples give", async () => {
  await expect(helpersPage()).toMatchFileSnapshot(join(root, "docs/reference/helpers.md"));
});

it("describes each helper, each once, with an example of it and its named arguments", () => {
  expect(documented).toEqual(existing);
  for (const entries of Object.values(sections)) {
    for (const [name, { call, examples }] of Object.entries(entries)) {
      const texts = examples.map((example) => (typeof example === "string" ? example : example[1]));
      expect(texts.join("\n")).toMatch(new RegExp(`[({]${name}[ })]`));
      const named = [...call.matchAll(/\[(\w+)=\]/g)].map(([, argument]) => argument);
      expect([name, named.sort()]).toEqual([name, [...(helpers.get(name)?.named ?? [])].sort()]);
    }
  }
});

it("docs/templates.md names each shipped template, and no meta that none of them reads", () => {
  const page = readFileSync(join(root, "docs/templates.md"), "utf8");
  const shipped = readdirSync(join(root, "templates"));
  for (const name of shipped) expect(page).toContain(`(../templates/${name})`);
  const texts = shipped.map((name) => readFileSync(join(root, "templates", name), "utf8")).join("\n");
  const words = (text: string) => new Set(text.match(/\b(SERVICE|PORTOLAN)_[A-Z_]+/g));
  for (const word of words(page)) expect(words(texts)).toContain(word);
});

it("each shipped template says at its top which variables it reads", () => {
  for (const name of readdirSync(join(root, "templates"))) {
    const text = readFileSync(join(root, "templates", name), "utf8");
    const top = text.slice(0, text.indexOf("--}}"));
    for (const [, variable = ""] of text.matchAll(/\(?env "(\w+)"/g)) expect(top).toContain(`${variable} `);
    expect(text.split("\n").length).toBeLessThan(170);
  }
});
