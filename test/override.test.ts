import { describe, expect, it } from "vitest";
import { decodeOverride, encodeOverride, withDrain, withoutDrain, withTags } from "../src/override.ts";

const target = { id: "host1:web-1:80", node: "host1", container: "c1" };
const order = { since: "2026-01-31T12:00:00Z", by: "ann@lb" };

describe("an override", () => {
  it("is written with its keys in order, and read back", () => {
    const drained = withDrain(target, undefined, { ...order, until: "2026-01-31T12:10:00Z" });
    const both = withTags(target, drained, { ...order, added: ["b", "a"], removed: ["c"] });
    const text = encodeOverride(both) ?? "";
    expect(text).toBe(
      '{"id":"host1:web-1:80","node":"host1","container":"c1",' +
        '"tags":{"added":["a","b"],"removed":["c"],"since":"2026-01-31T12:00:00Z","by":"ann@lb"},' +
        '"drain":{"since":"2026-01-31T12:00:00Z","by":"ann@lb","until":"2026-01-31T12:10:00Z"}}',
    );
    expect(decodeOverride(target.id, text, "here")).toEqual(both);
    expect(encodeOverride(withoutDrain(drained))).toBeUndefined();
  });

  it("goes with its container, and takes the later word for each tag", () => {
    const before = withTags(target, undefined, { ...order, added: ["a", "b"], removed: [] });
    const after = withTags(target, before, { ...order, added: [], removed: ["a"] });
    expect(after.tags).toMatchObject({ added: ["b"], removed: ["a"] });
    expect(withDrain({ ...target, container: "c2" }, before, order).tags).toBeUndefined();
  });

  it.each([
    ["{", "here: not JSON"],
    ["[]", "here: not a JSON object"],
    ["{}", 'here: "node" is not a non-empty string'],
    ['{"node":"host2","drain":{"since":"2026-01-31T12:00:00Z","by":"a"}}', 'here: it is about "node:host2"'],
    ['{"node":"host1"}', 'here: it has neither "tags" nor "drain"'],
    ['{"node":"host1","drain":{"since":"soon","by":"a"}}', 'here: "drain.since" is not a time'],
  ])("is refused with its place: %s", (text, message) => {
    expect(() => decodeOverride("node:host1", text, "here")).toThrow(message);
  });
});
