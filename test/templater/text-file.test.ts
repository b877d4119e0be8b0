import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { compileTemplate, renderTemplate } from "../../src/templater/render.ts";
import { readTextFile } from "../../src/templater/text-file.ts";
import { tempDir } from "../servers/run.ts";
import { worldOf } from "./golden/world.ts";

const dir = tempDir("text-file");
const at = (name: string) => join(dir, name);
writeFileSync(at("text"), "ä\n");
writeFileSync(at("large"), "a".repeat(1024 * 1024 + 1));
writeFileSync(at("binary"), Buffer.from([0xff, 0xfe]));
mkdirSync(at("folder"));
execFileSync("mkfifo", [at("pipe")]);

it.each([
  ["text", { text: "ä\n" }],
  ["none", { problem: "does not exist" }],
  ["large", { problem: "is larger than 1 MB" }],
  ["binary", { problem: "is not a text in UTF-8" }],
  ["folder", { problem: "is not a file" }],
  // Opening a pipe that nobody writes to would wait for ever.
  ["pipe", { problem: "is not a file" }],
])("reads %s", (name, file) => {
  expect(readTextFile(at(name))).toEqual(file);
});

const template = (text: string) =>
  compileTemplate({ path: at("t.hbs"), text, partials: new Map(), format: "text" });

it("is what templates read when the world brings no files, and noted", () => {
  expect(renderTemplate(template('{{trim (file "text")}}'), worldOf([]))).toMatchObject({
    text: "ä",
    reads: { files: new Set([at("text")]) },
  });
});

it("is waited for while the world does not know it", () => {
  const world = { ...worldOf([]), file: () => undefined };
  expect(renderTemplate(template('{{file "text"}}'), world)).toMatchObject({
    status: "waiting",
    for: [`file ${at("text")}`],
  });
});

it("cannot be chosen by a registry or a variable outside of the template's folder", () => {
  const world = worldOf([], { WHERE: "/etc/passwd", BELOW: "text" });
  const outside = template('{{file (env "WHERE")}}');
  expect(() => renderTemplate(outside, world)).toThrowError("may read /etc/passwd only if");
  expect(renderTemplate(template('{{trim (file (env "BELOW"))}}'), world)).toMatchObject({ text: "ä" });
});
