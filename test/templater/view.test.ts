import { describe, expect, it } from "vitest";
import type { Snapshot } from "../../src/backends/backend.ts";
import { createView, sameKeys, sameReads, type World } from "../../src/templater/view.ts";
import { instance, snapshotOf, worldOf } from "./golden/world.ts";

const before = snapshotOf([instance({ service: "db" }), instance({ service: "web" })]);

/** The same snapshot with one service replaced, as a source would share the rest. */
function withService(name: string, list: ReturnType<typeof instance>[] | undefined): Snapshot {
  const services = new Map(before.services);
  if (list) services.set(name, list);
  else services.delete(name);
  return { ...before, services };
}

const web = { services: new Set(["web"]), all: false };
const none = { services: new Set(["none"]), all: false };
const all = { services: new Set<string>(), all: true };

describe("sameReads", () => {
  it.each([
    ["the same snapshot", web, before, before, true],
    ["another service changed", web, before, withService("db", []), true],
    ["the service changed", web, before, withService("web", []), false],
    [
      "the service came to be unknown",
      web,
      before,
      { ...withService("web", undefined), complete: false },
      false,
    ],
    ["a service that never was", none, before, withService("db", []), true],
    [
      "a service that is empty and then gone",
      web,
      withService("web", []),
      withService("web", undefined),
      true,
    ],
    ["the first answer", web, undefined, before, false],
    ["no answer yet", web, undefined, undefined, true],
    ["all: equal map", all, before, { ...before, services: new Map(before.services) }, true],
    ["all: one list changed", all, before, withService("db", [instance({ service: "db" })]), false],
    ["all: a service more", all, before, withService("new", []), false],
    ["all: a service less", all, before, withService("db", undefined), false],
    ["all: no longer complete", all, before, { ...before, complete: false }, false],
  ] as const)("%s", (_, reads, from, to, same) => {
    expect(sameReads(reads, from, to)).toBe(same);
  });
});

describe("sameKeys", () => {
  const below = new Map([["b", "1"]]);
  const answered = {
    keys: new Map([
      ["a", "1"],
      ["none", undefined],
    ]),
    trees: new Map([["t", below]]),
  };
  const reads = { ...none, keys: new Set(["a", "none"]), trees: new Set(["t"]) };
  it.each<[string, World["keys"], boolean]>([
    ["the same answer", answered, true],
    [
      "another key and tree",
      { keys: new Map([...answered.keys, ["x", "1"]]), trees: new Map([...answered.trees, ["u", below]]) },
      true,
    ],
    [
      "another value",
      {
        ...answered,
        keys: new Map([
          ["a", "2"],
          ["none", undefined],
        ]),
      },
      false,
    ],
    [
      "a value that came",
      {
        ...answered,
        keys: new Map([
          ["a", "1"],
          ["none", ""],
        ]),
      },
      false,
    ],
    ["a key that is not known any more", { ...answered, keys: new Map([["a", "1"]]) }, false],
    ["another tree", { ...answered, trees: new Map([["t", new Map(below)]]) }, false],
    ["nothing known", undefined, false],
    ["no keys at all", "none", false],
  ])("%s", (_, after, same) => {
    expect(sameKeys(reads, answered, after)).toBe(same);
  });
});

describe("createView", () => {
  it("notes what is read, and reads nothing by itself", () => {
    const view = createView(worldOf([instance()], { A: "1", EMPTY: "" }), new Set());
    expect(view.reads()).toEqual({ services: new Set(), all: false });
    expect(view.service("web")).toHaveLength(1);
    expect(view.env("A")).toBe("1");
    expect(view.env("EMPTY")).toBeUndefined();
    expect(view.env("toString")).toBeUndefined();
    expect(view.reads()).toEqual({ services: new Set(["web"]), all: false });
    expect(view.variables()).toEqual(new Set(["1"]));
    view.services();
    expect(view.reads()).toEqual({ services: new Set(["web"]), all: true });
    expect(view.unknown()).toEqual([]);
  });

  it("leaves instances out and keeps their service", () => {
    const out = instance({ id: "out" });
    const view = createView(worldOf([instance(), out]), new Set([out]));
    expect(view.service("web").map(({ id }) => id)).toEqual(["h1:web:80"]);
    expect(view.services().map(([name, list]) => [name, list.length])).toEqual([["web", 1]]);
  });
});
