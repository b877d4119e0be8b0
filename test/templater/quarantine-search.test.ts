import { describe, expect, it } from "vitest";
import { type Found, mostChecks, searchRefused } from "../../src/templater/quarantine-search.ts";
import fc from "../property.ts";

const named = (count: number) => Array.from({ length: count }, (_, at) => `s${at}`);

/** Runs a search against a check, and counts how often that is asked. */
function searched(services: readonly string[], check: (asNow: ReadonlySet<string>) => string | undefined) {
  const steps = searchRefused(services, "all");
  let checks = 0;
  let step = steps.next();
  while (!step.done) {
    checks += 1;
    step = steps.next(check(new Set(step.value)));
  }
  return { ...step.value, checks };
}

/** Says no to these, whatever else there is. */
const refusing = (bad: ReadonlySet<string>) => (asNow: ReadonlySet<string>) => {
  const seen = [...asNow].filter((one) => bad.has(one));
  return seen.length > 0 ? seen.join() : undefined;
};

/** Searches again while what is undecided is refused, as the next passes do; the last one is at fault then. */
function searchedUntilDecided(services: readonly string[], bad: ReadonlySet<string>) {
  const passing: string[] = [];
  const refused: string[] = [];
  let left = services;
  while (left.length > 1 && refusing(bad)(new Set(left)) !== undefined) {
    const found = searched(left, refusing(bad));
    expect(found.undecided.size).toBeLessThan(left.length);
    passing.push(...found.passing);
    refused.push(...found.refused.keys());
    left = [...found.undecided.keys()];
  }
  return { passing, refused, left };
}

const cases = fc.integer({ min: 2, max: 200 }).chain((count) =>
  fc.record({
    services: fc.constant(named(count)),
    bad: fc.uniqueArray(fc.integer({ min: 0, max: count - 1 }), { minLength: 1, maxLength: 20 }),
  }),
);

const everyone = ({ passing, refused, undecided }: Found) =>
  [...passing, ...refused.keys(), ...undecided.keys()].sort();

describe("a search for what a check refuses", () => {
  it("says of each service one thing, and nothing wrong, within its checks", () => {
    fc.assert(
      fc.property(cases, ({ services, bad }) => {
        const isBad = new Set(bad.map((at) => `s${at}`));
        const found = searched(services, refusing(isBad));
        expect(everyone(found)).toEqual([...services].sort());
        expect(found.checks).toBeLessThanOrEqual(mostChecks(services.length));
        expect(found.passing.filter((one) => isBad.has(one))).toEqual([]);
        expect([...found.refused.keys()].filter((one) => !isBad.has(one))).toEqual([]);
      }),
    );
  });

  it("finds the one that is at fault, wherever it stands, with the words of the check about it", () => {
    for (const count of [2, 3, 7, 40, 128]) {
      for (const bad of named(count)) {
        const { passing, refused, undecided } = searched(named(count), refusing(new Set([bad])));
        expect([...refused.keys()]).toEqual([bad]);
        expect(["all", bad]).toContain(refused.get(bad));
        expect([passing.length, undecided.size]).toEqual([count - 1, 0]);
      }
    }
  });

  it("finds all of several when it is asked again about what it has left undecided", () => {
    fc.assert(
      fc.property(cases, ({ services, bad }) => {
        const isBad = new Set(bad.map((at) => `s${at}`));
        const { passing, refused, left } = searchedUntilDecided(services, isBad);
        expect(refused.filter((one) => !isBad.has(one))).toEqual([]);
        expect(passing.filter((one) => isBad.has(one))).toEqual([]);
        expect(passing.length + refused.length + left.length).toBe(services.length);
      }),
    );
  });

  it("ends with what passes together where services are only refused side by side", () => {
    const isTwin = (asNow: ReadonlySet<string>) => asNow.has("s3") && asNow.has("s12");
    const check = (asNow: ReadonlySet<string>) => (isTwin(asNow) ? "twins" : undefined);
    const found = searched(named(16), check);
    expect(check(new Set(found.passing))).toBeUndefined();
    expect(found.passing).toHaveLength(15);
    expect([...found.refused]).toEqual([["s12", "twins"]]);
  });

  it("finds nothing, by one check, where even the world before is refused", () => {
    const found = searched(named(40), () => "broken");
    expect([found.checks, found.passing.length, found.refused.size]).toEqual([1, 0, 0]);
    expect(found.undecided.size).toBe(40);
  });

  it.each([
    [2, 4],
    [40, 14],
    [128, 16],
    [10_000, 16],
  ])("of %d services takes %d checks at most", (services, checks) => {
    expect(mostChecks(services)).toBe(checks);
  });
});
