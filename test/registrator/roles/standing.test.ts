import { describe, expect, it } from "vitest";
import { readRole } from "../../../src/registrator/roles/role-source.ts";
import {
  afterProbe,
  awaitsConfirmation,
  type Standing,
  unprobed,
} from "../../../src/registrator/roles/standing.ts";
import fc from "../../property.ts";

const thresholds = { rise: 2, fall: 3 };
const outcomes = {
  M: { role: "master", epoch: "7" },
  S: { role: "slave" },
  "?": { problem: "no answer" },
} as const;
type Seen = keyof typeof outcomes;

function published(seen: string): string {
  let standing: Standing = unprobed;
  return [...seen]
    .map((one) => {
      standing = afterProbe(standing, outcomes[one as Seen], thresholds);
      return standing.finding?.role === "master" ? "M" : standing.finding ? "S" : "-";
    })
    .join("");
}

describe("the role of a server", () => {
  it.each([
    ["M", "-", "the first master waits for a second probe"],
    ["MM", "-M", "the second one confirms it"],
    ["S", "S", "a slave is one at once"],
    ["SMM", "SSM", "a promotion needs two"],
    ["MMS", "-MS", "a demotion needs one"],
    ["SM?MM", "SSSSM", "two in a row"],
    ["MM??M", "-MMMM", "silence is no demotion"],
    ["MM???", "-MMM-", "three without an answer: unknown"],
    ["MM???M", "-MMM--", "what was unknown is confirmed anew"],
    ["SS???", "SSSS-", "unknown is not slave"],
    ["MM?S", "-MMS", "an answer after silence counts"],
  ])("%s gives %s: %s", (seen, expected) => {
    expect(published(seen)).toBe(expected);
  });

  it("is probed again soon only while a master waits", () => {
    const waiting = afterProbe(unprobed, outcomes.M, thresholds);
    expect(awaitsConfirmation(waiting)).toBe(true);
    expect(awaitsConfirmation(afterProbe(waiting, outcomes.M, thresholds))).toBe(false);
    expect(awaitsConfirmation(afterProbe(waiting, outcomes["?"], thresholds))).toBe(false);
  });

  it("follows the epoch of a master at once", () => {
    const master = { ...unprobed, finding: { role: "master", epoch: "7" } } as const;
    expect(afterProbe(master, { role: "master", epoch: "8" }, thresholds).finding?.epoch).toBe("8");
  });

  it("is master only after two such answers in a row, and never against the latest answer", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom<Seen>("M", "S", "?"), { maxLength: 30 }), (seen) => {
        const history = seen.join("");
        const answers = published(history);
        for (let at = 0; at < seen.length; at++) {
          const before = history.slice(0, at + 1);
          if (answers[at] === "M") expect(before).toMatch(/MM(M|\?{1,2}(?=M|$))*\?{0,2}$/);
          if (seen[at] === "S") expect(answers[at]).toBe("S");
          if (before.endsWith("???")) expect(answers[at]).toBe("-");
        }
      }),
    );
  });
});

describe("SERVICE_ROLE", () => {
  it.each([
    ["master", "master"],
    ["slave", "slave"],
    ["redis", { by: "redis" }],
    ["postgres", { by: "postgres" }],
    ["mysql", { by: "mysql" }],
    ["elect", { by: "elect" }],
    ["http:/primary?lag=1", { by: "http", path: "/primary?lag=1" }],
  ])("%s", (text, expected) => {
    expect(readRole(text)).toEqual(expected);
  });

  it.each(["Master", "leader", "http:", "http://host/path", "http:primary", "http:/a b", "http:/\r\nX: y"])(
    "%j is none",
    (text) => {
      expect(readRole(text)).toBeUndefined();
    },
  );
});
