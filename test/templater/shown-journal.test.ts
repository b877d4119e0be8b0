import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { RecentEntry } from "../../src/templater/journal.ts";
import { shownJournal, withheldOf } from "../../src/templater/shown-journal.ts";
import type { Target } from "../../src/templater/target.ts";
import type { Reads } from "../../src/templater/view.ts";
import { tempDir } from "../servers/run.ts";

const reads: Reads = { services: new Set(["web"]), all: false };
const target = (destination: string, mode?: number): Target => ({
  ...{ source: "/a.hbs", destination, reload: { kind: "none" } },
  ...{ commandTimeout: 1, wait: { min: 0, max: 0 }, minInterval: 0 },
  ...(mode !== undefined && { mode }),
});
const entry = (number: number, diff: string | undefined, targets = ["/a"]): RecentEntry => ({
  ...{ number, at: "2026-01-01T00:00:00Z", targets, cause: ["start"], verdict: "applied", tookMs: {} },
  files: [{ destination: "/a", before: null, after: "0", diff }],
  moreFiles: 0,
});
const open = new Map<string, string | undefined>([["/a", undefined]]);

describe("diffs on the status page", () => {
  it("are those of files that everybody may read", () => {
    const file = join(tempDir("shown"), "file");
    expect(withheldOf(target(file), reads)).toBeUndefined();
    expect(withheldOf(target(file, 0o640), reads)).toMatch(/may read the file/);
    writeFileSync(file, "");
    chmodSync(file, 0o600);
    expect(withheldOf(target(file), reads)).toMatch(/may read the file/);
    expect(withheldOf(target(file, 0o644), reads)).toBeUndefined();
  });

  it.each<[string, Partial<Reads>]>([
    ["keys", { keys: new Set(["a"]) }],
    ["trees", { trees: new Set(["a"]) }],
    ["files", { files: new Set(["/a"]) }],
    ["containers", { containers: new Map() }],
  ])("are none of templates that read %s", (_, more) => {
    expect(withheldOf(target("/a"), { ...reads, ...more })).toMatch(/may be secret/);
  });

  it("are bounded, the newest first, with those of files that were refused", () => {
    const long = "x".repeat(90_000);
    const refused = { ...entry(4, long), files: [], refused: entry(4, "+no\n").files };
    const shown = shownJournal([entry(1, long), entry(2, long), entry(3, long), refused], open);
    expect(shown.map(({ number }) => number)).toEqual([4, 3, 2, 1]);
    expect(shown.map(({ files }) => files[0]?.diff?.length)).toEqual([4, 90_000, 90_000, undefined]);
    expect(shown[3]?.files[0]?.withheld).toMatch(/long ago/);
  });

  it("are none of what is no target any more, or of a group with a secret", () => {
    const also = new Map([...open, ["/b", "not everybody may read the file"]]);
    const [gone, group] = shownJournal([entry(1, "+a", ["/a", "/b"]), entry(2, "+a", ["/c"])], also);
    expect(gone?.files[0]?.withheld).toMatch(/no target any more/);
    expect(group?.files[0]?.withheld).toMatch(/may read the file/);
  });
});
