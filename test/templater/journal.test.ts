import { appendFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openJournal, readJournal, type Verdict } from "../../src/templater/journal.ts";
import { tempDir } from "../servers/run.ts";
import { mount } from "./workspace.ts";

const verdict = (why: string): Verdict => ({
  targets: ["/etc/a.cfg"],
  cause: ["service web"],
  verdict: "applied",
  why,
  files: [],
  tookMs: { swap: 1 },
});
const said = async (path: string) => (await readJournal(path)).map(({ number, why }) => `${number} ${why}`);

it("counts on over restarts, and passes over a line that was torn", async () => {
  const path = tempDir("journal");
  expect(await readJournal(path)).toEqual([]);
  const first = await openJournal({ path });
  await Promise.all(["a", "b"].map((why) => first.add(verdict(why))));
  appendFileSync(join(path, "journal.jsonl"), '\n{"number":3,"why":"to');
  await (await openJournal({ path })).add(verdict("c"));
  expect(await said(path)).toEqual(["1 a", "2 b", "3 c"]);
  expect(statSync(join(path, "journal.jsonl")).mode & 0o777).toBe(0o600);
});

it("is bounded: it holds the last changes, and knows which they are", async () => {
  const path = tempDir("journal");
  const journal = await openJournal({ path });
  const long = "x".repeat(100_000);
  for (let number = 1; number <= 60; number++) await journal.add(verdict(`${number} ${long}`));
  const size = readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
  expect(size).toBeLessThan(2_500_000);
  const numbers = (await readJournal(path)).map(({ number }) => number);
  expect(numbers.length).toBeGreaterThan(9);
  expect(numbers).toEqual(numbers.map((_, index) => 60 - numbers.length + 1 + index));
});

it("says that the disk is full, and goes on once there is room", async () => {
  const path = tempDir("journal");
  await mount(["-t", "tmpfs", "-o", "size=64k", "tmpfs"], path);
  const journal = await openJournal({ path });
  await journal.add(verdict("a"));
  const ballast = join(path, "ballast");
  expect(() => writeFileSync(ballast, "x".repeat(100_000))).toThrow("ENOSPC");
  await expect(journal.add(verdict("x".repeat(8_000)))).rejects.toMatchObject({
    code: "FAILED",
    message: expect.stringContaining("cannot be written"),
  });
  writeFileSync(ballast, "");
  await journal.add(verdict("b"));
  expect(await said(path)).toEqual(["1 a", "2 b"]);
});
