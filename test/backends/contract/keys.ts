import { describe, expect, it } from "vitest";
import type { KeySnapshot, Kv } from "../../../src/backends/backend.ts";
import { eventually, type Stage, signal } from "./stage.ts";

let counter = 0;

/** Keys and values. */
export function keysSuite(stage: Stage): void {
  describe("keys and values", () => {
    const kvOf = (skip: (why: string) => never): Kv => stage.backend.kv ?? skip("it has no keys");
    /** A path that no other test uses. */
    const somePath = () => {
      counter += 1;
      return `contract-${process.pid}/${counter}`;
    };
    const wants = (keys: readonly string[], trees: readonly string[] = []) => ({
      keys: new Set(keys),
      trees: new Set(trees),
    });
    const treeIn = (snapshot: KeySnapshot, path: string) =>
      Object.fromEntries(snapshot.trees.get(path) ?? [["unknown", ""]]);

    it("gets what was put, and tells an absent key from an empty value", async ({ skip }) => {
      const kv = kvOf(skip);
      const path = somePath();
      expect(await kv.get(`${path}/absent`, signal)).toBeUndefined();
      for (const value of ["one", "two\nlines ü ☃", "", ' {"json":true} ']) {
        await kv.put(`${path}/key`, value, signal);
        expect(await kv.get(`${path}/key`, signal)).toBe(value);
      }
      await kv.remove(`${path}/key`, signal);
      await kv.remove(`${path}/key`, signal);
      expect(await kv.get(`${path}/key`, signal)).toBeUndefined();
    });

    it("lists what is directly below a path, and all of it as a tree, in order", async ({ skip }) => {
      const kv = kvOf(skip);
      const path = somePath();
      for (const name of ["b", "c/d/e", "a", "c/b", "with space/ü%2F"])
        await kv.put(`${path}/${name}`, name, signal);
      await kv.put(`${path}-beside/x`, "not below it", signal);
      expect([...(await kv.tree(path, signal))]).toEqual([
        ["a", "a"],
        ["b", "b"],
        ["c/b", "c/b"],
        ["c/d/e", "c/d/e"],
        ["with space/ü%2F", "with space/ü%2F"],
      ]);
      expect([...(await kv.list(path, signal))]).toEqual([
        ["a", "a"],
        ["b", "b"],
      ]);
      expect([...(await kv.tree(`${path}/c/`, signal)).keys()]).toEqual(["b", "d/e"]);
      expect((await kv.tree(`${path}/none`, signal)).size).toBe(0);
      expect((await kv.list(`${path}/none`, signal)).size).toBe(0);
    });

    it("watches keys and trees: all of it at first, each change, and unchanged parts stay the same objects", async ({
      skip,
    }) => {
      const kv = kvOf(skip);
      const path = somePath();
      await kv.put(`${path}/left/a`, "1", signal);
      await kv.put(`${path}/right/b`, "2", signal);
      const observation = kv.watch(
        wants([`${path}/left/a`, `${path}/none`], [`${path}/left`, `${path}/right`]),
      );
      const first = await eventually(observation, (s) => s.keys.size === 2 && s.trees.size === 2);
      expect([...first.keys]).toEqual([
        [`${path}/left/a`, "1"],
        [`${path}/none`, undefined],
      ]);
      expect(treeIn(first, `${path}/right`)).toEqual({ b: "2" });
      await kv.put(`${path}/left/a`, "3", signal);
      await kv.put(`${path}/left/deep/down`, "4", signal);
      const second = await eventually(
        observation,
        (s) => s.keys.get(`${path}/left/a`) === "3" && s.trees.get(`${path}/left`)?.size === 2,
      );
      expect(treeIn(second, `${path}/left`)).toEqual({ a: "3", "deep/down": "4" });
      expect(second.trees.get(`${path}/right`)).toBe(first.trees.get(`${path}/right`));
      await kv.put(`${path}/none`, "", signal);
      await eventually(observation, (s) => s.keys.get(`${path}/none`) === "");
      await kv.put(`${path}/left/deep/down`, "5", signal);
      await eventually(observation, (s) => s.trees.get(`${path}/left`)?.get("deep/down") === "5");
      await kv.remove(`${path}/left/deep/down`, signal);
      await kv.remove(`${path}/none`, signal);
      const last = await eventually(
        observation,
        (s) => s.trees.get(`${path}/left`)?.size === 1 && s.keys.get(`${path}/none`) === undefined,
      );
      expect(last.keys.has(`${path}/none`)).toBe(true);
      await observation.close();
    });

    it("tells of what is wanted now, and of nothing after a close", async ({ skip }) => {
      const kv = kvOf(skip);
      const path = somePath();
      await kv.put(`${path}/a`, "1", signal);
      const observation = kv.watch(wants([]));
      expect(observation.current()).toMatchObject({ known: true });
      observation.want(wants([`${path}/a`], [path]));
      await eventually(observation, (s) => s.keys.get(`${path}/a`) === "1" && s.trees.has(path));
      observation.want(wants([], [path]));
      const now = observation.current();
      expect(now.known && [...now.value.keys]).toEqual([]);
      expect(now.known && treeIn(now.value, path)).toEqual({ a: "1" });
      let calls = 0;
      observation.subscribe(() => {
        calls += 1;
      });
      await observation.close();
      await kv.put(`${path}/a`, "2", signal);
      const control = kv.watch(wants([`${path}/a`]));
      await eventually(control, (s) => s.keys.get(`${path}/a`) === "2");
      expect(calls).toBe(0);
      await control.close();
    });

    it("ends a storm in the values as they are", async ({ skip }) => {
      const kv = kvOf(skip);
      const path = somePath();
      const observation = kv.watch(wants([], [path]));
      await Promise.all(
        Array.from({ length: 40 }, async (_, n) => {
          for (const value of ["x", "y", `${n}`]) await kv.put(`${path}/${n % 4}/${n}`, value, signal);
          if (n % 2 === 0) await kv.remove(`${path}/${n % 4}/${n}`, signal);
        }),
      );
      const expected = await kv.tree(path, signal);
      expect(expected.size).toBe(20);
      await eventually(
        observation,
        (s) => JSON.stringify([...(s.trees.get(path) ?? [])]) === JSON.stringify([...expected]),
      );
      await observation.close();
    });

    it("tells a cancelled call from an outage", async ({ skip }) => {
      const kv = kvOf(skip);
      const aborted = { code: "ABORTED" };
      await expect(kv.get("a", AbortSignal.abort())).rejects.toMatchObject(aborted);
      await expect(kv.tree("a", AbortSignal.abort())).rejects.toMatchObject(aborted);
    });
  });
}
