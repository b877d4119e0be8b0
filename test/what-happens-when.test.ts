import { describe, expect, it } from "vitest";
import { missingTest, page, section, tableRows } from "./markdown.ts";

const whole = page("docs/what-happens-when.md");
const tests = tableRows(section(whole, "The tests"));
const cases = tableRows(whole).slice(0, -tests.length);

describe("docs/what-happens-when.md", () => {
  it("has each case once, and tests for each", () => {
    const names = cases.map(([name]) => name);
    expect(names.length).toBeGreaterThan(50);
    expect([...new Set(names)]).toEqual(names);
    expect(new Set(tests.map(([name]) => name))).toEqual(new Set(names));
  });

  it.each(tests)("%s: %s", (_name, test = "") => {
    expect(missingTest(test, import.meta.dirname)).toBeUndefined();
  });
});
