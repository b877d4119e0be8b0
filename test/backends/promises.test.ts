// The pages of docs/backends: all say the same things of their backend, and name tests that exist.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const pages = join(import.meta.dirname, "../../docs/backends");
/** What every page tells, in this order. */
const headings = ["The URL", "What is written", "Rights", "When (it|the agent) is away", "Promises"];

describe.each(readdirSync(pages).sort())("docs/backends/%s", (name) => {
  const page = readFileSync(join(pages, name), "utf8");

  it("says what the others say", () => {
    const found = [...page.matchAll(/^## (.+)$/gm)].map(([, heading = ""]) => heading);
    const at = headings.map((heading) => found.findIndex((one) => new RegExp(`^${heading}$`).test(one)));
    expect(at).not.toContain(-1);
    expect(at).toEqual([...at].sort((a, b) => a - b));
    expect(page).toMatch(/^Tested (with|on) /m);
  });

  it("links to files that are there", () => {
    const links = [...page.matchAll(/\]\(([^)#]+)/g)].map(([, link = ""]) => link);
    expect(links.filter((link) => !existsSync(join(pages, link)))).toEqual([]);
  });

  const [, promises = ""] = page.split(/^## Promises$/m);
  const rows = promises
    .split("\n")
    .filter((line) => line.startsWith("| ") && !/^\| (-|promise )/.test(line))
    .map((line) => line.split("|").map((cell) => cell.trim()));

  it("promises something", () => {
    expect(rows.length).toBeGreaterThan(3);
  });

  it.each(rows.map(([, promise = "", test = ""]) => [promise, test]))("%s", (_promise, test) => {
    const [, file = "", words = ""] = /^`([\w./-]+)`: (.+)$/.exec(test) ?? [];
    const source = readFileSync(join(import.meta.dirname, file), "utf8");
    // The name of a test may go on with the reason for a skip.
    expect(
      [`"${words}"`, `\`${words}\``, `\`${words}\${`].some((text) => source.includes(text)),
      test,
    ).toBe(true);
  });
});
