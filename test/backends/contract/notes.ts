import { describe, expect, it } from "vitest";
import type { Notes } from "../../../src/backends/backend.ts";
import { eventually, type Stage, signal, someOwner } from "./stage.ts";

let counter = 0;

/** Notes, kept and held. */
export function notesSuite(stage: Stage): void {
  describe("notes", () => {
    const someName = () => {
      counter += 1;
      return `note-${process.pid}-${counter}`;
    };
    const notesOf = (skip: (why: string) => never): Notes =>
      stage.backend.notes?.("templaters") ?? skip("it keeps no notes");

    it("are put, replaced, listed by name in order, and removed, whatever their names", async ({ skip }) => {
      // A folder without any registrator's claim is not believed to be empty.
      const lease = await stage.joined(someOwner());
      const notes = notesOf(skip);
      const own = someName();
      const names = ["a/b/c", ".hidden", "..", "node:h1", "é ☃", "100%", "%2F", "x.y"].map(
        (n) => `${n}${own}`,
      );
      for (const name of names) await notes.put(name, `first ${name}`, signal);
      for (const name of names) await notes.put(name, `{"of":"${name}"}\n`, signal);
      const mine = [...(await notes.list(signal))].filter(([name]) => name.endsWith(own));
      expect(mine).toEqual([...names].sort().map((name) => [name, `{"of":"${name}"}\n`]));
      const others = stage.backend.notes?.("overrides");
      expect([...((await others?.list(signal)) ?? [])].filter(([name]) => name.endsWith(own))).toEqual([]);
      for (const name of [...names, ...names]) await notes.remove(name, signal);
      const left = [...(await notes.list(signal)).keys()];
      expect(left.filter((name) => name.endsWith(own))).toEqual([]);
      await lease.release(signal);
    });

    it("are watched: all at first, each change, and the same map while nothing changes", async ({ skip }) => {
      const notes = notesOf(skip);
      const [one, two] = [someName(), someName()];
      await notes.put(one, "1", signal);
      const watch = notes.watch();
      const first = await eventually(watch, (all) => all.get(one) === "1");
      expect(watch.current()).toMatchObject({ known: true });
      await notes.put(one, "1", signal);
      watch.refresh();
      await notes.put(two, "2", signal);
      const second = await eventually(watch, (all) => all.get(two) === "2");
      expect(second).not.toBe(first);
      const now = watch.current();
      expect(now.known && now.value).toBe(second);
      await notes.remove(one, signal);
      await eventually(watch, (all) => !all.has(one) && all.get(two) === "2");
      await watch.close();
      await notes.remove(two, signal);
    });

    it("are exchanged only where they are what somebody has seen, whoever else does it at the same time", async ({
      skip,
    }) => {
      const lease = await stage.joined(someOwner());
      const notes = notesOf(skip);
      const name = someName();
      const now = async () => (await notes.list(signal)).get(name);
      expect(await notes.exchange(name, "something", "x", signal)).toBe(false);
      expect(await notes.exchange(name, undefined, undefined, signal)).toBe(true);
      expect(await now()).toBeUndefined();
      const count = async () => {
        for (;;) {
          const text = await now();
          if (await notes.exchange(name, text, String(Number(text ?? "0") + 1), signal)) return;
        }
      };
      await Promise.all(Array.from({ length: 6 }, count));
      expect(await now()).toBe("6");
      expect(await notes.exchange(name, undefined, "x", signal)).toBe(false);
      expect(await notes.exchange(name, "5", undefined, signal)).toBe(false);
      expect(await now()).toBe("6");
      expect(await notes.exchange(name, "6", undefined, signal)).toBe(true);
      expect(await now()).toBeUndefined();
      await lease.release(signal);
    });

    it("are held under a lease of their own, changed by renewal, and gone after their release", async ({
      skip,
    }) => {
      const notes = notesOf(skip);
      const name = someName();
      const held = notes.hold(name, stage.ttl);
      expect((await notes.list(signal)).has(name)).toBe(false);
      const first = await held.renew("one", signal);
      expect(first.fresh).toBe(true);
      expect(first.ttl).toBeGreaterThan(0);
      expect((await notes.list(signal)).get(name)).toBe("one");
      expect((await held.renew("two", signal)).fresh).toBe(false);
      expect((await notes.list(signal)).get(name)).toBe("two");
      // Whoever takes the name over is not disturbed by the end of the one before.
      const next = notes.hold(name, stage.ttl);
      await next.renew("three", signal);
      await held.release(signal);
      expect((await notes.list(signal)).get(name)).toBe("three");
      await notes.remove(name, signal);
      await next.renew("three", signal);
      expect((await notes.list(signal)).get(name)).toBe("three");
      await next.release(signal);
      await next.release(signal);
      expect((await notes.list(signal)).has(name)).toBe(false);
    });

    it("tell a cancelled call from an outage", async ({ skip }) => {
      const notes = notesOf(skip);
      const aborted = { code: "ABORTED" };
      await expect(notes.list(AbortSignal.abort())).rejects.toMatchObject(aborted);
      await expect(notes.put("a", "b", AbortSignal.abort())).rejects.toMatchObject(aborted);
      const held = notes.hold("a", stage.ttl);
      await expect(held.renew("b", AbortSignal.abort())).rejects.toMatchObject(aborted);
    });
  });
}
