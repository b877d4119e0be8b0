import { expect, it } from "vitest";
import { createRecords, emptySnapshot } from "../../src/backends/records.ts";

it("tells a record that cannot be read in a few words, however long it is, and hides no other", () => {
  const records = createRecords((key, text) => {
    throw new Error(`${key}: ${text} is no record`);
  });
  records.put("web/a", "short");
  records.put("web/b", "x".repeat(10_000_000));
  const { invalid } = records.snapshot(emptySnapshot);
  expect(invalid.get("web/a")).toBe("web/a: short is no record");
  expect(invalid.get("web/b")).toMatch(/^web\/b: x{493}… \(10000020 characters\)$/);
});
