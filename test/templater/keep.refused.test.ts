import { describe, expect, it } from "vitest";
import { createRefusedTexts } from "../../src/templater/keep/refused-texts.ts";
import { createRefusedValues } from "../../src/templater/keep/refused-values.ts";
import { ReloadError } from "../../src/templater/reload/index.ts";
import type { RenderedFiles } from "../../src/templater/rendered-files.ts";
import type { Target } from "../../src/templater/target.ts";

const error = new ReloadError("before", "no");

describe("texts that a proxy has refused", () => {
  it("are left alone for a while, longer each time, and others are not", () => {
    const texts = createRefusedTexts();
    expect(texts.standing(() => "a")).toBeUndefined();
    const retryIn = texts.refuse("a", error);
    expect(retryIn).toBeGreaterThanOrEqual(1_000);
    expect(retryIn).toBeLessThanOrEqual(3_000);
    expect(texts.standing(() => "a")?.error).toBe(error);
    expect(texts.standing(() => "b")).toBeUndefined();
    for (let tries = 0; tries < 100; tries++) expect(texts.refuse("a", error)).toBeLessThanOrEqual(301_000);
    expect(texts.refuse("b", error)).toBeLessThanOrEqual(3_000);
    texts.clear();
    expect(texts.standing(() => "b")).toBeUndefined();
  });

  it("are not looked for while nothing is refused: that takes time", () => {
    const unasked = () => {
      throw new Error("asked");
    };
    expect(createRefusedTexts().standing(unasked)).toBeUndefined();
  });
});

describe("values that a grammar has refused", () => {
  const target = { destination: "f" } as Target;
  const outcome = (reason: string): RenderedFiles => ({
    status: "rendered",
    files: [],
    leftOut: [],
    reads: { services: new Set(), all: false },
    refused: [{ id: "a", service: "web", reason }],
    refusedContainers: [{ name: "c", reason }],
  });

  it("are logged once for each reason, and shown as they are now", () => {
    const logged: string[] = [];
    let counted = 0;
    const values = createRefusedValues(
      { error: (_, message) => void logged.push(message) },
      { quarantined: () => void counted++ },
    );
    for (const reason of ["no spaces", "no spaces", "no quotes"]) values.see(target, outcome(reason));
    expect(logged).toEqual([
      "instance left out: no spaces",
      "container left out: no spaces",
      "instance left out: no quotes",
      "container left out: no quotes",
    ]);
    expect(counted).toBe(2);
    const { refused, refusedContainers } = values.status(target);
    expect([refused, refusedContainers].map((list) => list?.map(({ reason }) => reason))).toEqual([
      ["no quotes"],
      ["no quotes"],
    ]);
    values.see(target, { ...outcome(""), refused: [], refusedContainers: [] } as RenderedFiles);
    expect(values.status(target)).toEqual({ refused: [] });
  });
});
