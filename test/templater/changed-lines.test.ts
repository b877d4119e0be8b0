import { parsePatch } from "diff";
import { describe, expect, it } from "vitest";
import { changedLines } from "../../src/templater/changed-lines.ts";

const lines = (count: number, at: Readonly<Record<number, string>> = {}) =>
  Array.from({ length: count }, (_, index) => `${at[index] ?? `line ${index}`}\n`).join("");

/** Applies a diff at exactly the lines that it names. */
function patched(before: string, diff: string): string {
  const old = before.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  const next: string[] = [];
  let at = 0;
  for (const { oldStart, oldLines, lines: all } of parsePatch(diff)[0]?.hunks ?? []) {
    const start = oldLines === 0 ? oldStart : oldStart - 1;
    next.push(...old.slice(at, start));
    at = start;
    for (const [index, line] of all.entries()) {
      const text = line.slice(1) + (all[index + 1]?.startsWith("\\") ? "" : "\n");
      if (line.startsWith(" ") || line.startsWith("-")) expect(old[at++]).toBe(text);
      if (line.startsWith(" ") || line.startsWith("+")) next.push(text);
    }
  }
  return [...next, ...old.slice(at)].join("");
}

describe("changedLines", () => {
  it.each([
    ["a line in the middle", lines(40), lines(40, { 20: "other" })],
    ["the first line", lines(9), lines(9, { 0: "other" })],
    ["the last line", lines(9), lines(9, { 8: "other" })],
    ["a line that is gone", lines(40), lines(40).replace("line 20\n", "")],
    ["a line that is gone from a row of equal ones", "a\nx\nx\nx\nb\n", "a\nx\nx\nb\n"],
    ["a line more", lines(40), lines(40, { 20: "line 20\nmore" })],
    ["places far apart", lines(90), lines(90, { 3: "one", 80: "two" })],
    ["an end without a line end", "a\nb", "a\nc"],
    ["a line end that is new", "a\nb", "a\nb\n"],
    ["everything", "", lines(5)],
    ["everything that is gone", lines(5), ""],
    ["umlauts and faces", "ä\n🙂\nö\n", "ä\n🙃\nö\n"],
  ])("turns the one file into the other, line for line: %s", async (_what, before, after) => {
    const diff = (await changedLines("file", Buffer.from(before), Buffer.from(after))) ?? "";
    expect(patched(before, diff)).toBe(after);
  });

  it("names no file before where there was none", async () => {
    expect(await changedLines("/etc/x", undefined, Buffer.from("a\n"))).toBe(
      "--- /dev/null\tbefore\n+++ /etc/x\tafter\n@@ -0,0 +1,1 @@\n+a\n",
    );
  });

  it("is left out where there is too much of it", async () => {
    const other = lines(5_000).replaceAll("line", "other");
    expect(await changedLines("x", Buffer.from(lines(5_000)), Buffer.from(other))).toBeUndefined();
    expect(await changedLines("x", undefined, Buffer.from("x".repeat(100_000)))).toBeUndefined();
  });

  it("takes little time for a small change of a large file", async () => {
    const [before, after] = [lines(300_000), lines(300_000, { 150000: "other" })].map((text) =>
      Buffer.from(text),
    );
    const start = performance.now();
    expect(await changedLines("x", before, after ?? Buffer.of())).toContain("+other");
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});
