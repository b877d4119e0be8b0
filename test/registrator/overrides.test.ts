import { describe, expect, it, vi } from "vitest";
import type { Owner } from "../../src/backends/backend.ts";
import { openMemory } from "../../src/backends/memory.ts";
import { PortolanError } from "../../src/errors.ts";
import type { Log } from "../../src/log.ts";
import { encodeOverride, type Override, overrideName } from "../../src/override.ts";
import { withOverrides } from "../../src/registrator/overrides/apply.ts";
import { createTerms } from "../../src/registrator/overrides/terms.ts";
import { createOverrides } from "../../src/registrator/overrides/watch.ts";
import type { Reasoned } from "../../src/registrator/rules/outcome.ts";
import { createCell } from "../../src/source.ts";
import { someInstance, someOwner } from "../backends/contract/suite.ts";

const log = new Proxy({} as Log, { get: () => () => {} });
const owner: Owner = someOwner();
const container = { id: "c1", name: "web-1", image: "web" };
const order = { since: "2026-01-31T12:00:00Z", by: "ann@lb" };
const never = new AbortController().signal;

function reasoned(over: Partial<Reasoned> = {}): Reasoned {
  const instance = someInstance(owner, { id: "a", container, tags: ["blue"], state: "ready" });
  return { instance, origins: { tags: "label SERVICE_TAGS" }, ...over };
}
const target = { id: "a", node: reasoned().instance.node, container: "c1" };
const applied = (one: Reasoned, override: Override) => {
  const { registered, remarks } = withOverrides([one], [override]);
  return { instance: registered[0]?.instance, remarks };
};

describe("applying overrides", () => {
  it("adds and removes tags, a role as a label would, and drains", () => {
    const tags = { ...order, added: ["master", "green"], removed: ["blue"] };
    const { instance, remarks } = applied(reasoned(), { target, tags, drain: order });
    expect(instance).toMatchObject({ tags: ["green", "master"], role: "master", state: "draining" });
    expect(remarks).toEqual([]);
  });

  it("leaves a role alone that is elected, and says so", () => {
    const tags = { ...order, added: ["master"], removed: [] };
    const { instance, remarks } = applied(reasoned({ roleSource: { by: "elect" } }), { target, tags });
    expect(instance).toMatchObject({ tags: ["blue"] });
    expect(instance?.role).toBeUndefined();
    expect(remarks).toMatchObject([
      { code: "OVERRIDE", reason: expect.stringContaining("an election decides") },
    ]);
  });

  it("is only for the container that it was written for, or all of a node", () => {
    const one = reasoned();
    expect(applied(one, { target: { ...target, container: "c0" }, drain: order }).instance).toBe(
      one.instance,
    );
    const node = { node: target.node };
    expect(applied(one, { target: node, drain: order }).instance?.state).toBe("draining");
  });
});

describe("watching overrides", () => {
  const watching = async (fate: "live" | "gone") => {
    const backend = await openMemory();
    const notes = backend.notes?.("overrides");
    if (!notes) throw new Error("no notes");
    const changed = vi.fn();
    const overrides = createOverrides({
      backends: [backend],
      log,
      changed,
      nodeIn: () => target.node,
      containerOf: () => "c1",
      fate: () => fate,
      ask() {},
    });
    const put = (override: Override) =>
      notes.put(overrideName(override.target), encodeOverride(override) ?? "", never);
    const one = reasoned();
    const state = () => overrides.apply([one]).registered[0]?.instance.state;
    return { overrides, notes, put, state };
  };

  it("applies one, and takes it back when its time is over, for all to see", async () => {
    const { overrides, notes, put, state } = await watching("live");
    const until = new Date(Date.now() + 400).toISOString();
    await put({ target, drain: { ...order, until } });
    await vi.waitFor(() => expect(state()).toBe("draining"), 5_000);
    await vi.waitFor(async () => {
      expect(state()).toBe("ready");
      expect((await notes.list(never)).size).toBe(0);
    }, 10_000);
    await overrides.close();
  });

  it("deletes what is of a container that is gone, and nothing of another node", async () => {
    const { overrides, notes, put } = await watching("gone");
    const other = { id: "b", node: "elsewhere", container: "c9" };
    await put({ target: other, drain: order });
    await put({ target, drain: order });
    overrides.tidy();
    await vi.waitFor(async () => expect([...(await notes.list(never)).keys()]).toEqual(["b"]), 10_000);
    await overrides.close();
  });
});

describe("overrides at the start of a process", () => {
  const text = encodeOverride({ target, drain: order }) ?? "";
  const problem = {
    kind: "unreachable",
    error: new PortolanError("BACKEND_UNREACHABLE", "away"),
  } as const;

  /** Over a backend whose notes a test tells, and a state folder that is only kept in mind. */
  const starting = async (state: Map<string, string>, leased: { node?: string } = {}) => {
    const cell = createCell<ReadonlyMap<string, string>>();
    const warnings: string[] = [];
    const watch = () => ({ ...cell, refresh() {}, close: async () => {} });
    const memory = await openMemory();
    const notes = memory.notes?.("overrides");
    if (!notes) throw new Error("no notes");
    const overrides = createOverrides({
      backends: [{ ...memory, notes: () => ({ ...notes, watch }) }],
      log: { ...log, warn: (_: unknown, said: string) => void warnings.push(said) } as Log,
      state: { read: async (name) => state.get(name), write: async (name, to) => void state.set(name, to) },
      changed() {},
      nodeIn: () => leased.node,
      containerOf: () => "c1",
      fate: () => "live",
      ask() {},
    });
    await new Promise(setImmediate);
    return {
      cell,
      overrides,
      warnings,
      state: () => overrides.apply([reasoned()]).registered[0]?.instance.state,
    };
  };

  it("waits for the first answer, so that a restart takes nothing back for a moment", async () => {
    const { cell, overrides, state } = await starting(new Map());
    expect(overrides.isReady()).toBe(false);
    cell.set(new Map([["a", text]]));
    expect(overrides.isReady()).toBe(true);
    expect(state()).toBe("draining");
    await overrides.close();
  });

  it("goes on without an answer where the backend is away, by what the process before has seen", async () => {
    const kept = new Map<string, string>();
    const first = await starting(kept);
    first.cell.set(new Map([["a", text]]));
    await first.overrides.close();
    const second = await starting(kept);
    expect(second.overrides.isReady()).toBe(true);
    expect(second.state()).toBe("draining");
    second.cell.fail(problem);
    expect(second.state()).toBe("draining");
    second.cell.set(new Map());
    expect(second.state()).toBe("ready");
    expect(second.overrides.explainsDrain({ ...reasoned().instance, state: "draining" })).toBe(true);
    await second.overrides.close();
    const stranger = await starting(new Map());
    stranger.cell.fail(problem);
    expect(stranger.overrides.isReady()).toBe(true);
    expect(stranger.state()).toBe("ready");
    await stranger.overrides.close();
  });

  it("leaves it to the lease to tell of a backend that it has not reached yet", async () => {
    const leased: { node?: string } = {};
    const { cell, overrides, warnings } = await starting(new Map(), leased);
    cell.fail(problem);
    expect(warnings).toEqual([]);
    cell.set(new Map());
    leased.node = target.node;
    cell.fail(problem);
    cell.fail(problem);
    expect(warnings).toEqual(["overrides are not reached; the last known ones count"]);
    await overrides.close();
  });

  it("leaves out a note that cannot be read, and no other", async () => {
    const { cell, overrides, state } = await starting(new Map());
    cell.set(
      new Map([
        ["a", text],
        ["b", "{"],
        ["c", text],
      ]),
    );
    expect(state()).toBe("draining");
    expect(overrides.inForce()).toHaveLength(1);
    await overrides.close();
  });
});

describe("the end of an order", () => {
  const from = (ms: number) => new Date(Date.now() + ms).toISOString();
  const drain = (since: number, until: number) => ({
    target,
    drain: { by: "ann@lb", since: from(since), until: from(until) },
  });

  it.each([
    ["by the clock that was the same everywhere", -1_000, 9_000, 9_000],
    ["no later than was asked for, where this clock is slow", 3_600_000, 3_610_000, 10_000],
    ["at once, where this clock says that it is past", -20_000, -10_000, -10_000],
  ])("comes %s", (_, since, until, ends) => {
    const terms = createTerms();
    const override = drain(since, until);
    terms.of([override]);
    expect(terms.standing(override).drain === undefined).toBe(ends < 0);
    if (ends > 0) expect(Math.abs((terms.next() ?? 0) - ends)).toBeLessThan(1_000);
    else expect(terms.next()).toBeUndefined();
  });

  it("B2: does not move with the wall clock once it was seen", () => {
    const terms = createTerms();
    const override = drain(-1_000, 9_000);
    terms.of([override]);
    const jump = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 3_600_000);
    terms.of([override]);
    expect(terms.standing(override).drain).toBeDefined();
    jump.mockRestore();
  });
});
