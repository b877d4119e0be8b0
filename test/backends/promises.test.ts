// The pages of docs/backends: all say the same things of their backend, and name tests that exist.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { missingTest, page, section, tableRows } from "../markdown.ts";

const pages = join(import.meta.dirname, "../../docs/backends");
/** What every page tells, in this order. */
const headings = ["The URL", "What is written", "Rights", "When (it|the agent) is away", "Promises"];

describe.each(readdirSync(pages).sort())("docs/backends/%s", (name) => {
  const { text } = page(`docs/backends/${name}`);

  it("says what the others say", () => {
    const found = [...text.matchAll(/^## (.+)$/gm)].map(([, heading = ""]) => heading);
    const at = headings.map((heading) => found.findIndex((one) => new RegExp(`^${heading}$`).test(one)));
    expect(at).not.toContain(-1);
    expect(at).toEqual([...at].sort((a, b) => a - b));
    expect(text).toMatch(/^Tested (with|on) /m);
  });

  const rows = tableRows(section(page(`docs/backends/${name}`), "Promises"));

  it("promises something", () => {
    expect(rows.length).toBeGreaterThan(3);
  });

  it.each(rows)("%s", (_promise, test = "") => {
    expect(missingTest(test, import.meta.dirname)).toBeUndefined();
  });
});
