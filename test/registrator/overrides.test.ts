import { describe, expect, it, vi } from "vitest";
import type { Owner } from "../../src/backends/backend.ts";
import { openMemory } from "../../src/backends/memory.ts";
import type { Log } from "../../src/log.ts";
import { encodeOverride, type Override, overrideName } from "../../src/override.ts";
import { withOverrides } from "../../src/registrator/overrides/apply.ts";
import { createOverrides } from "../../src/registrator/overrides/watch.ts";
import type { Reasoned } from "../../src/registrator/rules/outcome.ts";
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
    expect(remarks[0]?.reason).toContain("an election decides");
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
