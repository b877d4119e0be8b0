import { describe, expect, it } from "vitest";
import { PortolanError } from "../../src/errors.ts";
import { createReport, gist } from "../../src/templater/keep/report.ts";
import { ReloadError } from "../../src/templater/reload/index.ts";

/** A report, with what it has logged and told, and how often its reason has changed. */
function reporting(bad?: unknown) {
  const logged: string[] = [];
  const told: string[] = [];
  let changes = 0;
  const at = (level: string) => (fields: { err?: unknown }, message: string) =>
    void logged.push(`${level}: ${message}${fields.err ? `: ${(fields.err as Error).message}` : ""}`);
  const report = createReport({
    name: { destination: "f" },
    log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") },
    verdicts: { tell: (verdict, { why }) => void told.push(`${verdict}: ${why}`) },
    secrets: { mask: (text) => text.replaceAll("t0k3n", "…") },
    bad: () => bad,
    changed: () => void changes++,
  });
  return { report, logged, told, changes: () => changes };
}

const refusal = (words: string) => new PortolanError("CHECK_FAILED", words);

describe("a report", () => {
  it("logs a failure that repeats itself once, and again when somebody wants to hear it", () => {
    const { report, logged } = reporting();
    for (const pid of [11, 12]) report.failed(refusal(`[${pid}] no in /tmp/x${pid}`), 1);
    report.forget();
    report.failed(refusal("[13] no in /tmp/x13"), 1);
    report.failed(refusal("another"), 1);
    expect(logged.map((line) => line.split(":")[0])).toEqual(["error", "debug", "error", "error"]);
  });

  it("holds no secrets, in the log, in the journal and in the reason", () => {
    const { report, logged, told } = reporting();
    report.failed(refusal("bad line: auth t0k3n"), 1);
    const why = "CHECK_FAILED: bad line: auth …";
    expect(told).toEqual([`rejected: ${why}`]);
    expect(report.reason()).toBe(why);
    expect(logged).toEqual(["error: not applied; trying again: bad line: auth …"]);
  });

  it("says that a template is not used, and that a proxy which was not reached is owed what is written", () => {
    const bad = new PortolanError("TEMPLATE", "line 3");
    const { report, logged, told } = reporting(bad);
    report.failed(bad, 1);
    report.failed(new ReloadError("none", "no pidfile"), 1);
    expect(logged[0]).toBe("error: template not used, the one before stays; trying again: line 3");
    expect(told).toEqual(["rejected: TEMPLATE: line 3", "owed: RELOAD_FAILED: no pidfile"]);
  });

  it("tells of a changed reason, and warns once of a guard that wants more", () => {
    const { report, logged, changes } = reporting();
    expect(report.reason()).toBe("not rendered yet");
    const why = report.unmet(["web has 0 of 1"]);
    report.unmet(["web has 0 of 1"]);
    report.setReason(why);
    report.setReason(why);
    expect(changes()).toBe(1);
    expect(why).toMatch(/: web has 0 of 1$/);
    report.met();
    report.unmet(["web has 0 of 1"]);
    expect(logged).toHaveLength(2);
  });
});

it("a gist has no numbers and temporary files, but for the lines of a template's own mistakes", () => {
  expect(gist("FAILED", "[77] /tmp/a.b: 3 of 4")).toBe("FAILED[#] # # of #");
  expect(gist("TEMPLATE", "line 3")).toBe("TEMPLATEline 3");
});
