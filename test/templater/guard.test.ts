import { describe, expect, it } from "vitest";
import type { Snapshot } from "../../src/backends/backend.ts";
import { PortolanError } from "../../src/errors.ts";
import type { Instance } from "../../src/instance.ts";
import { createGuard } from "../../src/templater/guard.ts";
import { defaultGuard, type GuardSettings, strictest } from "../../src/templater/guard-settings.ts";
import { instance, snapshotOf } from "./golden/world.ts";

const hold = 15_000;
const problem = (kind: "unreachable" | "denied") => ({
  kind,
  error: new PortolanError("BACKEND_UNREACHABLE", "away"),
});

/** Instances of `web`, one for each name, each on a node and of an owner of that name. */
const web = (names: string, over: Partial<Instance> = {}) =>
  [...names].map((name) => instance({ id: name, node: name, owner: `${name}/ENGINE`, ...over }));

/** A guard, with its time, that is told of worlds and tells the ids that it shows of `web`. */
function guarded(settings: Partial<GuardSettings> = {}, lastGood?: Snapshot) {
  const guard = createGuard({ ...defaultGuard, ...settings }, lastGood);
  let now = 1_000;
  let last: Snapshot | undefined;
  const reads = new Set(["web"]);
  const show = () => guard.show(reads, now);
  return {
    guard,
    show,
    see(instances: readonly Instance[], complete = true) {
      last = snapshotOf(instances, complete);
      guard.see({ known: true, value: last }, now);
    },
    away: (kind: "unreachable" | "denied" = "unreachable") =>
      guard.see(
        last
          ? { known: true, value: last, problem: problem(kind) }
          : { known: false, problem: problem(kind) },
        now,
      ),
    back: () => last && guard.see({ known: true, value: last }, now),
    pass(ms: number) {
      now += ms;
    },
    /** These nodes are the ones that live. */
    lives: (...nodes: string[]) => guard.living(new Set("abcdef"), new Set(nodes), now),
    ids: () =>
      (show().snapshot?.services.get("web") ?? [])
        .map(({ id, state }) => (state === "ready" ? id : `(${id})`))
        .join(""),
  };
}

/** A guard that has been connected for a while and shows these. */
function steady(names: string, settings: Partial<GuardSettings> = {}) {
  const world = guarded(settings);
  world.see(web(names));
  expect(world.ids()).toBe(names);
  world.pass(60_000);
  return world;
}

describe("a drop that nobody has explained", () => {
  it.each([
    ["to zero", "ab", "", "ab"],
    ["beyond maxDrop", "abc", "a", "abc"],
    ["of a half", "abcd", "cd", "cd"],
    ["of one of many", "abcd", "bcd", "bcd"],
    ["with a newcomer", "abc", "ax", "ax"],
  ])("%s: %s, then %s, shows %s", (_, before, after, shown) => {
    const world = steady(before);
    world.see(web(after));
    // With a newcomer there are two of four left.
    expect(world.ids()).toBe(shown);
  });

  it("is asked about, and goes at once when the owners live", () => {
    const world = steady("abc");
    world.see(web("a"));
    const first = world.show();
    expect([...first.ask].sort()).toEqual(["b", "c"]);
    expect(world.show().ask.size).toBe(0);
    world.lives("b");
    // One of two is no more than a half.
    expect(world.ids()).toBe("a");
  });

  it("is held, told, and believed after the hold", () => {
    const world = steady("ab");
    world.see([]);
    const { held, until } = world.show();
    expect(held).toEqual([
      { service: "web", ids: ["a", "b"], why: "2 of 2 ready instances went, and no owner says so" },
    ]);
    expect(until).toBe(61_000 + hold);
    world.pass(hold - 1);
    expect(world.ids()).toBe("ab");
    world.pass(1);
    expect(world.show()).toMatchObject({ held: [], until: undefined });
    expect(world.ids()).toBe("");
  });

  it("ends 5 s after an owner who was dead has come back: what it wants is registered again by then", () => {
    const world = steady("ab");
    world.see([]);
    expect(world.show().ask.size).toBe(2);
    world.lives();
    world.pass(1_999);
    expect(world.show().ask.size).toBe(0);
    world.pass(1);
    expect(world.show().ask.size).toBe(2);
    world.lives("a", "b");
    expect(world.show().until).toBe(61_000 + 7_000);
    world.pass(5_000);
    expect(world.ids()).toBe("");
  });

  it("ends as soon as they are back", () => {
    const world = steady("ab");
    world.see([]);
    expect(world.ids()).toBe("ab");
    world.see(web("ab", { port: 81 }));
    const { snapshot, held } = world.show();
    expect(held).toEqual([]);
    expect(snapshot?.services.get("web")?.map(({ port }) => port)).toEqual([81, 81]);
  });

  it("is seen when the owners go one after the other, too", () => {
    const world = steady("abcdef");
    for (const [rest, shown] of [
      ["bcdef", "bcdef"],
      ["cdef", "cdef"],
      ["def", "def"],
      // The earlier ones come back once it is known that nobody has taken them out.
      ["ef", "def"],
      ["", "abcdef"],
    ] as const) {
      world.pass(1_000);
      world.see(web(rest));
      expect(world.ids()).toBe(shown);
      world.lives("e", "f");
    }
    expect(world.ids()).toBe("abcd");
  });

  it("counts also when they are still there, and unhealthy", () => {
    const world = steady("ab");
    world.see(web("ab", { state: "unhealthy" }));
    expect(world.ids()).toBe("ab");
    world.lives("a", "b");
    expect(world.ids()).toBe("(a)(b)");
  });

  it("holds what was there beside what is new", () => {
    const world = steady("abc");
    world.see(web("x"));
    expect(world.ids()).toBe("abcx");
  });

  it("is none with a hold of 0", () => {
    const world = steady("ab", { hold: 0 });
    world.see([]);
    expect(world.ids()).toBe("");
  });
});

describe("what applies at once", () => {
  it.each(["draining", "starting", "paused"] as const)("an owner that says %s", (state) => {
    const world = steady("ab");
    world.see(web("ab", { state }));
    expect(world.ids()).toBe("(a)(b)");
    world.see([]);
    expect(world.ids()).toBe("");
  });

  it("what has no owner", () => {
    const world = guarded();
    const { owner: _, ...foreign } = instance({ id: "f" });
    world.see([foreign]);
    expect(world.ids()).toBe("f");
    world.see([]);
    expect(world.ids()).toBe("");
  });

  it("other services, whatever is held", () => {
    const world = steady("ab");
    world.see([instance({ service: "db", id: "d" })]);
    const services = world.show().snapshot?.services;
    expect([...(services?.keys() ?? [])]).toEqual(["db", "web"]);
  });

  it("everything that stays the same object, so that nothing seems to have changed", () => {
    const world = steady("ab");
    const before = world.show().snapshot;
    expect(world.show().snapshot).toBe(before);
    world.see([]);
    const held = world.show().snapshot;
    expect(held?.services.get("web")).toBe(before?.services.get("web"));
    expect(world.show().snapshot).toBe(held);
  });
});

describe("the first answer after a connect", () => {
  it("explains nothing", () => {
    const world = steady("ab");
    world.away();
    world.see([]);
    expect(world.show().ask.size).toBe(2);
    world.pass(hold - 1);
    expect(world.ids()).toBe("ab");
    world.pass(1);
    expect(world.ids()).toBe("");
  });

  it("is believed after 5 s where the owners live: what they want is registered again by then", () => {
    const world = steady("ab");
    world.away();
    world.see([]);
    world.show();
    world.lives("a", "b");
    expect(world.show().until).toBe(61_000 + 5_000);
    expect(world.ids()).toBe("ab");
    world.pass(5_000);
    expect(world.ids()).toBe("");
  });

  it("is no drop when little is missing, which may not be registered again yet: that is held for 5 s", () => {
    const world = steady("abcd");
    world.away();
    world.see(web("abc"));
    expect(world.ids()).toBe("abcd");
    expect(world.show().until).toBe(61_000 + 5_000);
    world.pass(5_000);
    expect(world.ids()).toBe("abc");
    expect(world.show()).toMatchObject({ until: undefined, held: [] });
  });

  it("does not hold what is drained", () => {
    const world = steady("ab");
    world.away();
    world.see(web("ab", { state: "draining" }));
    expect(world.ids()).toBe("(a)(b)");
  });

  it("gives the whole hold to what is still missing", () => {
    const world = steady("ab");
    world.see([]);
    expect(world.ids()).toBe("ab");
    world.pass(hold - 1_000);
    world.away();
    world.pass(60_000);
    expect(world.show()).toMatchObject({ until: undefined });
    expect(world.ids()).toBe("ab");
    world.back();
    world.pass(hold - 1);
    expect(world.ids()).toBe("ab");
    world.pass(1);
    expect(world.ids()).toBe("");
  });

  it("is compared with what the process before has left, service by service", () => {
    const world = guarded({}, snapshotOf([...web("abc"), instance({ service: "db", id: "d" })]));
    world.see([instance({ service: "db", id: "d" })], false);
    expect([...(world.show().snapshot?.services.keys() ?? [])]).toEqual(["db"]);
    world.pass(2_000);
    world.see([instance({ service: "db", id: "d" })]);
    expect(world.ids()).toBe("abc");
  });

  it("is waited for: until then there is what the process before has left", () => {
    const left = snapshotOf(web("abc"));
    const world = guarded({}, left);
    world.away();
    expect(world.show().snapshot).toBe(left);
  });

  it("says nothing of a service that is not read any more", () => {
    const world = steady("ab");
    world.see([], false);
    expect(world.show().snapshot?.services.size).toBe(0);
    world.see([]);
    expect(world.ids()).toBe("");
  });
});

it("a part that is denied leaves the rest alive", () => {
  const world = steady("abc");
  world.away("denied");
  world.see(web("abc", { port: 81 }));
  world.away("denied");
  world.see(web("abc", { state: "draining" }));
  expect(world.ids()).toBe("(a)(b)(c)");
});

describe("min", () => {
  it("keeps what was there, without end, and lets go when there is enough again", () => {
    const world = steady("abc", { min: { web: 2 }, hold: 0 });
    world.see(web("a", { state: "draining" }));
    expect(world.ids()).toBe("abc");
    world.pass(1_000_000);
    expect(world.show().held).toEqual([
      { service: "web", ids: ["a", "b", "c"], why: "only 0 ready, and at least 2 have to stay" },
    ]);
    world.see(web("xy"));
    expect(world.ids()).toBe("xy");
  });

  it("is unmet where there never was enough", () => {
    const world = guarded({ min: { web: 2 } });
    world.see(web("a"));
    expect(world.show().unmet).toEqual(["web: only 1 ready, and at least 2 have to stay"]);
    world.see(web("ab"));
    expect(world.show().unmet).toEqual([]);
  });

  it("waits for what is unknown", () => {
    const world = guarded({ min: { web: 2 } });
    world.see([], false);
    expect(world.show()).toMatchObject({ unmet: [], held: [] });
  });
});

describe("requireNonEmpty", () => {
  it.each([true, ["web"]] as const)("%s keeps the last ones", (requireNonEmpty) => {
    const world = steady("a", { requireNonEmpty, hold: 0 });
    world.see([]);
    expect(world.ids()).toBe("a");
    world.see(web("b"));
    expect(world.ids()).toBe("b");
  });

  it("true counts for what is read by name", () => {
    const world = guarded({ requireNonEmpty: true, hold: 0 });
    world.see([...web("a"), instance({ service: "db" })]);
    world.show();
    world.see(web("a"));
    expect([...(world.show().snapshot?.services.keys() ?? [])]).toEqual(["web"]);
  });
});

describe("masters", () => {
  const master = (id: string, epoch?: string, over: Partial<Instance> = {}) =>
    instance({
      id,
      role: "master",
      tags: ["blue", "master"],
      claim: { by: "redis", ...(epoch !== undefined && { epoch }) },
      ...over,
    });
  const mastersOf = (world: ReturnType<typeof guarded>) =>
    world
      .show()
      .snapshot?.services.get("web")
      ?.filter(({ role }) => role === "master")
      .map(({ id }) => id);

  it.each<[string, readonly Instance[], readonly Instance[], readonly string[]]>([
    ["one is one", [], [master("a")], ["a"]],
    ["the highest epoch wins", [master("a", "9")], [master("a", "9"), master("b", "10")], ["b"]],
    ["an epoch wins over none", [master("a")], [master("a"), master("b", "1")], ["b"]],
    ["else the incumbent stays", [master("b")], [master("a"), master("b"), master("c")], ["b"]],
    ["also among equal epochs", [master("b", "1")], [master("a", "1"), master("b", "1")], ["b"]],
    ["until its claim is gone", [master("b")], [master("a"), instance({ id: "b" })], ["a"]],
    ["two without an incumbent are none", [], [master("a"), master("b")], []],
    [
      "epochs of different judges say nothing",
      [],
      [master("a", "1"), master("b", "2", { claim: { by: "lock", epoch: "2" } })],
      [],
    ],
    [
      "who is ready goes before who is not",
      [master("a")],
      [master("a", "2", { state: "unhealthy" }), master("b", "1")],
      ["b"],
    ],
    [
      "what a label says stands",
      [],
      [instance({ id: "a", role: "master" }), instance({ id: "b", role: "master" })],
      ["a", "b"],
    ],
  ])("%s", (_, before, after, expected) => {
    const world = guarded({ hold: 0 });
    world.see(before);
    world.show();
    world.see(after);
    expect(mastersOf(world)).toEqual(expected);
    expect(world.show().snapshot).toBe(world.show().snapshot);
  });

  it("a loser has no role, in its tags neither", () => {
    const world = guarded();
    world.see([master("a"), master("b")]);
    expect(world.show().snapshot?.services.get("web")).toMatchObject([
      { tags: ["blue"] },
      { tags: ["blue"] },
    ]);
    expect(world.show().snapshot?.services.get("web")?.[0]).not.toHaveProperty("role");
    expect(world.show().snapshot?.services.get("web")?.[0]).not.toHaveProperty("claim");
  });

  it("one that is held gives way to one that is there", () => {
    const world = guarded();
    const owned = { owner: "a/ENGINE", node: "a" };
    world.see([master("a", "1", owned), instance({ id: "b", ...owned }), instance({ id: "c", ...owned })]);
    world.show();
    world.see([master("d", "1")]);
    expect(world.ids()).toBe("abcd");
    expect(mastersOf(world)).toEqual(["d"]);
  });

  it("oneMaster keeps what was there while there is none, or are two", () => {
    const world = guarded({ oneMaster: ["web"], hold: 0 });
    const named = (id: string) => instance({ id, role: "master" });
    world.see([instance({ id: "a" })]);
    expect(world.show().unmet).toEqual(["web: no ready instances are master, and one has to be"]);
    world.see([named("a"), instance({ id: "b" })]);
    expect(world.show().unmet).toEqual([]);
    world.see([named("a"), named("b")]);
    expect(mastersOf(world)).toEqual(["a"]);
    expect(world.show().held).toMatchObject([{ why: "2 ready instances are master, and one has to be" }]);
    world.see([instance({ id: "a" }), named("b")]);
    expect(mastersOf(world)).toEqual(["b"]);
  });
});

it("targets of a group share the strictest guard", () => {
  expect(
    strictest([
      { maxDrop: 0.2, min: { web: 1 } },
      { hold: 30_000, min: { web: 2, db: 1 }, requireNonEmpty: true },
    ]),
  ).toEqual({ maxDrop: 0.2, hold: 30_000, min: { web: 2, db: 1 }, requireNonEmpty: true, oneMaster: [] });
  expect(strictest([{}])).toEqual(defaultGuard);
});
