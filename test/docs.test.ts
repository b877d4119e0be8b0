// What the Markdown of the repository says is held to the repository: its links, its commands, its configuration.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseArguments } from "../src/config/arguments.ts";
import { parseConfig } from "../src/config/config-file.ts";
import { readSettings } from "../src/config/settings.ts";
import { anchors, blocks, links, type Page, page, pages, prose, root } from "./markdown.ts";

const all = pages();
const scripts: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(join(root, "package.json"), "utf8"),
).scripts;

/** Commands of npm itself. */
const npmOwn = ["install", "link", "audit", "ci", "pack"];

describe.each(all.map((one) => [one.path, one] as const))("%s", (_path, one) => {
  it("leads to files and headings that are there", () => {
    const isThere = (link: string) => {
      const [, file = "", anchor] = /^([^#]*)(?:#(.*))?$/.exec(link) ?? [];
      const to = file === "" ? one.path : join(dirname(one.path), file);
      if (!existsSync(join(root, to))) return false;
      return anchor === undefined || anchors(page(to)).has(anchor);
    };
    expect(links(one).filter((link) => !isThere(link))).toEqual([]);
  });

  it("names scripts of npm that are there", () => {
    const named = [...one.text.matchAll(/\bnpm run ([a-z:]+)/g), ...one.text.matchAll(/`npm ([a-z]+)/g)];
    const names = named.map(([, name = ""]) => name).filter((name) => name !== "run");
    expect(names.filter((name) => !npmOwn.includes(name) && !(name in scripts))).toEqual([]);
  });

  it("has shell scripts that a shell can read", () => {
    const scripts = blocks(one, "sh");
    if (scripts.length > 0) execFileSync("bash", ["-n"], { input: scripts.join("\n"), stdio: "pipe" });
  });

  it.each(commandLines(one))("the command line is understood: portolan %s", async (line) => {
    const given = await parseArguments(wordsOf(line));
    const { command } = given;
    if (given.help || given.version) return;
    if (command === undefined) throw new Error("no such command");
    // Where the line says nothing of them, somebody has set them before.
    const env = { PORTOLAN_BACKEND: "consul:", PORTOLAN_TEMPLATE: "/a.hbs:/b" };
    const { mistakes } = await readSettings({ ...given, command }, env, "/");
    expect(mistakes.filter(({ text }) => !text.endsWith("there is no such file"))).toEqual([]);
  });

  it("has configuration that is accepted", () => {
    const isOurs = (text: string) => /^(backend|registrator|templater|agent|templates):/m.test(text);
    // A list of templates stands in its section.
    const whole = (text: string) =>
      /^templates:/m.test(text) ? `templater:\n${text.replaceAll(/^/gm, "  ")}` : text;
    const mistakes = blocks(one, "yaml")
      .filter(isOurs)
      .flatMap((text) => parseConfig(whole(text), one.path, "/").mistakes);
    expect(mistakes).toEqual([]);
  });
});

/** The command lines of ours that a page shows, without `portolan`: in scripts, on a console, and in sentences. */
function commandLines(one: Page): readonly string[] {
  const typed = blocks(one, "console").flatMap((text) => text.match(/(?<=^\$ ).*/gm) ?? []);
  const scripts = [...blocks(one, "sh"), ...typed]
    .map((text) => text.replaceAll(/\\\n\s*/g, ""))
    .flatMap((text) => [...text.matchAll(/^(?:.*\$\()?portolan ([^\n]*)/gm)])
    .map(([, line = ""]) => line);
  const sentences = [...prose(one).matchAll(/`portolan ([^`]+)`/g)]
    .map(([, line = ""]) => line.replaceAll(/\s+/g, " "))
    // Placeholders and choices.
    .filter((line) => !/COMMAND|SHELL|[[\]…|*]/.test(line));
  const isHistory = one.path === "CHANGELOG.md";
  return [...new Set([...scripts, ...(isHistory ? [] : sentences)].map(command))];
}

/** A line up to where the shell takes over again. */
function command(line: string): string {
  return (/^(?:'[^']*'|"[^"]*"|[^'"|&;>)#]|(?<=\S)#)*/.exec(line)?.[0] ?? "").trim();
}

/** The words that a shell makes of a line. */
function wordsOf(line: string): readonly string[] {
  return (line.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? []).map((word) =>
    word.replaceAll(/'([^']*)'|"([^"]*)"/g, "$1$2"),
  );
}

describe("README.md", () => {
  it("leads to every page of docs/ and every example in one click", () => {
    const led = new Set(links(page("README.md")).map((link) => link.replace(/#.*/, "")));
    const wanted = all.map(({ path }) => path).filter((path) => /^(docs|examples)\//.test(path));
    expect(wanted.filter((path) => !led.has(path))).toEqual([]);
  });
});

describe("docs/README.md", () => {
  it("leads to every page of docs/", () => {
    const led = new Set(links(page("docs/README.md")).map((link) => join("docs", link.replace(/#.*/, ""))));
    const wanted = all.map(({ path }) => path).filter((path) => path.startsWith("docs/"));
    expect(wanted.filter((path) => path !== "docs/README.md" && !led.has(path))).toEqual([]);
  });
});
