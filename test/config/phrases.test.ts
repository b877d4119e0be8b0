import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runHere } from "../commands/run-here.ts";
import { tempDir } from "../servers/run.ts";

describe("a template in an option that does not compile", () => {
  const cwd = tempDir("phrases");
  const backend = "file:///nowhere/registry";

  it.each([
    ["an unclosed brace", ["--name", "{{service"], /^portolan: USAGE: --name:1:\d+: an expression/],
    ["an unclosed block", ["--name", "{{#if x}}a"], /--name:1:\d+: the template ends inside a block/],
    [
      "an unknown helper",
      ["--name", "{{toUper image}}"],
      /--name:1:1: unknown helper "toUper"; did you mean "toUpper"/,
    ],
    [
      "one of the templater's that reads the world",
      ["--tags", "{{env 'HOME'}}"],
      /--tags:1:1: unknown helper "env"/,
    ],
    ["too few arguments", ["--tags", "{{replace image}}"], /--tags:1:1: replace takes 3 arguments, not 1/],
    ["a partial", ["--tags", "{{> x}}"], /--tags:1:1: there are no partials here/],
    [
      "the second of several tags",
      ["--tags", "a,{{join (split image ',') '-'}},{{b"],
      /--tags, item 3:1:\d+/,
    ],
  ])("ends with 78 and the place: %s", async (_what, words, expected) => {
    const { code, stderr } = await runHere(["registrator", ...words, backend], cwd);
    expect(stderr).toMatch(expected);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(code).toBe(78);
  });

  it("names the variable, or the place in the config file", async () => {
    const variable = await runHere(["registrator", backend], cwd, { PORTOLAN_TAGS: "{{x y}}" });
    expect(variable).toMatchObject({
      code: 78,
      stderr: expect.stringContaining("USAGE: PORTOLAN_TAGS:1:1: unknown"),
    });
    writeFileSync(join(cwd, "bad.yaml"), "registrator:\n  tags: [a, '{{x y}}']\n  name: '{{#if}}'\n");
    const { code, stderr } = await runHere(["registrator", "-c", "bad.yaml", backend], cwd);
    expect(code).toBe(78);
    expect(stderr).toContain("CONFIG: bad.yaml:2:3: registrator.tags, item 2:1:1: unknown helper");
    expect(stderr).toContain("CONFIG: bad.yaml:3:3: registrator.name:1:8: the template ends inside a block");
  });

  it("is told by check as well", async () => {
    writeFileSync(join(cwd, "checked.yaml"), "registrator:\n  name: '{{x y}}'\n");
    const { code, stderr } = await runHere(["check", "-c", "checked.yaml"], cwd);
    expect({ code, stderr }).toMatchObject({ code: 78, stderr: expect.stringContaining("registrator.name") });
  });
});
