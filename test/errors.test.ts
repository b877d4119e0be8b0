import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { codes } from "../src/errors.ts";

it("docs/reference/errors.md has every code with its meaning, and no other", () => {
  const page = readFileSync("docs/reference/errors.md", "utf8");
  const rows = [...page.matchAll(/^\| `(\w+)` +\| (.*?) +\| (.*?) +\|$/gm)];
  expect(Object.fromEntries(rows.map(([, code, meaning]) => [code, meaning]))).toEqual(codes);
});
