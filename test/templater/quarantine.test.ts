import { describe, expect, it } from "vitest";
import type { Snapshot } from "../../src/backends/backend.ts";
import { createQuarantine, reasonOf, withLists } from "../../src/templater/quarantine.ts";
import { instance, snapshotOf } from "./golden/world.ts";

const web = (id: string) => instance({ id, service: "web" });
const api = instance({ id: "api", service: "api" });
const refused = (service: string) => new Map([[service, "no"]]);
const found = (service: string) => ({ passing: [], refused: refused(service), undecided: new Map() });

const before = snapshotOf([api, web("old")]);
const bad = snapshotOf([api, web("new")]);

/** A quarantine that holds `web` back since the time 0. */
function holding() {
  const quarantine = createQuarantine();
  expect(quarantine.hold(found("web"), bad, before, 0)).toEqual([{ service: "web", why: "no" }]);
  return quarantine;
}

const idsIn = (snapshot: Snapshot | undefined, service = "web") =>
  snapshot?.services.get(service)?.map(({ id }) => id);

describe("a service in quarantine", () => {
  it("is shown as it was, as long as it is what was refused", () => {
    const quarantine = holding();
    const shown = quarantine.show(bad);
    expect(shown.heldBack).toEqual([{ service: "web", why: "no" }]);
    expect(shown.snapshot?.services.get("web")).toBe(before.services.get("web"));
    expect(quarantine.show(bad)).toBe(shown);
    // Another service changes, and this one does not.
    const later = withLists(bad, new Map([["api", [api, instance({ id: "b", service: "api" })]]]));
    expect(idsIn(quarantine.show(later).snapshot)).toEqual(["old"]);
    expect(idsIn(quarantine.show(later).snapshot, "api")).toEqual(["api", "b"]);
    const mended = withLists(later, new Map([["web", [web("mended")]]]));
    expect(quarantine.show(mended)).toEqual({ snapshot: mended, heldBack: [] });
  });

  it("is free once something else has been installed", () => {
    const quarantine = holding();
    expect(quarantine.settle(quarantine.show(bad).heldBack)).toEqual([]);
    expect(quarantine.settle([])).toEqual(["web"]);
    expect([quarantine.show(bad).snapshot, quarantine.due(), quarantine.status()]).toEqual([
      bad,
      undefined,
      [],
    ]);
  });

  it("is tried again after half a minute at least, then less and less often, and when somebody asks", () => {
    const quarantine = holding();
    let at = 0;
    let longest = 0;
    for (let round = 0; round < 50; round++) {
      const due = quarantine.due() ?? 0;
      expect(due - at).toBeGreaterThanOrEqual(30_000);
      expect(due - at).toBeLessThanOrEqual(330_000);
      longest = Math.max(longest, due - at);
      quarantine.tryAgain(due - 1);
      expect(quarantine.show(bad).heldBack).toHaveLength(1);
      quarantine.tryAgain(due);
      expect(quarantine.show(bad)).toEqual({ snapshot: bad, heldBack: [] });
      at = due;
      // It is no news that it is refused once more.
      expect(quarantine.hold(found("web"), bad, before, at)).toEqual([]);
    }
    expect(longest).toBeGreaterThan(60_000);
    quarantine.tryAgain();
    expect(quarantine.show(bad).heldBack).toEqual([]);
  });

  it("is tried again at once while it is not known to be at fault, and that is not told", () => {
    const quarantine = createQuarantine();
    const undecided = { passing: [], refused: new Map(), undecided: refused("web") };
    expect(quarantine.hold(undecided, bad, before, 5)).toEqual([]);
    expect(quarantine.due()).toBe(5);
    expect(idsIn(quarantine.show(bad).snapshot)).toEqual(["old"]);
    expect(quarantine.settle([])).toEqual([]);
  });

  it.each([
    ["known", true, undefined],
    ["not known", false, []],
  ])("that is new is not there, or empty, where all services are %s", (_, complete, shown) => {
    const quarantine = createQuarantine();
    const now = { ...bad, complete };
    quarantine.hold(found("web"), now, snapshotOf([api]), 0);
    expect(idsIn(quarantine.show(now).snapshot)).toEqual(shown);
  });

  it("is named, one of twenty at most, with what the check says of the first", () => {
    const held = Array.from({ length: 22 }, (_, at) => ({ service: `s${at}`, why: `no ${at}` }));
    expect(reasonOf(held.slice(0, 2))).toBe("held back: s0, s1: no 0");
    expect(reasonOf(held)).toMatch(/^held back: s0, .*, s19, 2 more: no 0$/);
    expect(reasonOf([])).toBeUndefined();
  });

  it("that went is there, in order", () => {
    const quarantine = createQuarantine();
    const now = snapshotOf([web("a")]);
    quarantine.hold(found("api"), now, before, 0);
    expect([...(quarantine.show(now).snapshot?.services.keys() ?? [])]).toEqual(["api", "web"]);
  });
});
