import { describe, expect, it } from "vitest";
import type { Lock, Tenure } from "../../../src/backends/backend.ts";
import { eventually, type Stage, signal } from "./stage.ts";

let counter = 0;

/** The token of a lock that is held. */
export function tokenOf(tenure: Tenure): bigint {
  if (!tenure.held) throw new Error(`held by ${tenure.holder}`);
  expect(tenure.token).toMatch(/^[0-9]+$/);
  return BigInt(tenure.token);
}

/** Locks with fencing tokens. */
export function locksSuite(stage: Stage): void {
  describe("locks", () => {
    const someName = () => {
      counter += 1;
      return `a lock/${process.pid}-${counter}`;
    };
    const contend = (name: string, contender: string, skip: (why: string) => never): Lock =>
      stage.backend.lock?.(name, contender, stage.ttl) ?? skip("it has no locks");

    it("are held by one contender at a time, and each later holder has a greater token", async ({ skip }) => {
      const name = someName();
      const [one, two] = [contend(name, "one", skip), contend(name, "two", skip)];
      const first = tokenOf(await one.renew(signal));
      expect(await two.renew(signal)).toEqual({ held: false, holder: "one" });
      expect(tokenOf(await one.renew(signal))).toBe(first);
      await two.release(signal);
      expect(tokenOf(await one.renew(signal))).toBe(first);
      await one.release(signal);
      const second = tokenOf(await two.renew(signal));
      expect(second).toBeGreaterThan(first);
      expect(await one.renew(signal)).toEqual({ held: false, holder: "two" });
      await two.release(signal);
      expect(tokenOf(await two.renew(signal))).toBeGreaterThan(second);
      await two.release(signal);
      await one.release(signal);
    });

    it("are taken over by the contender's next process, with the next token and without going back", async ({
      skip,
    }) => {
      const name = someName();
      const [old, other] = [contend(name, "one", skip), contend(name, "two", skip)];
      const first = tokenOf(await old.renew(signal));
      const next = contend(name, "one", skip);
      const taken = await next.renew(signal);
      const second = tokenOf(taken);
      expect(second).toBeGreaterThan(first);
      expect(taken).toHaveProperty("follows", String(first));
      for (let n = 0; n < 2; n += 1) {
        expect(await old.renew(signal)).toEqual({ held: false, holder: "one" });
        expect(await other.renew(signal)).toEqual({ held: false, holder: "one" });
        const still = await next.renew(signal);
        expect(tokenOf(still)).toBe(second);
        expect(still).not.toHaveProperty("follows");
      }
      // What the old one gives up is nothing that it holds.
      await old.release(signal);
      expect(tokenOf(await next.renew(signal))).toBe(second);
      await next.release(signal);
      const third = await other.renew(signal);
      expect(tokenOf(third)).toBeGreaterThan(second);
      expect(third).not.toHaveProperty("follows");
      await other.release(signal);
    });

    it("that another one got in between are not taken over", async ({ skip }) => {
      const name = someName();
      const [one, two] = [contend(name, "one", skip), contend(name, "two", skip)];
      const first = tokenOf(await one.renew(signal));
      await one.release(signal);
      const second = tokenOf(await two.renew(signal));
      const next = contend(name, "one", skip);
      expect(await next.renew(signal)).toEqual({ held: false, holder: "two" });
      await two.release(signal);
      const third = await next.renew(signal);
      expect(third).not.toHaveProperty("follows");
      expect(tokenOf(third)).toBeGreaterThan(second);
      expect(second).toBeGreaterThan(first);
      for (const lock of [one, two, next]) await lock.release(signal);
    });

    it("of different names have nothing to do with one another", async ({ skip }) => {
      const locks = [contend(someName(), "one", skip), contend(someName(), "two", skip)];
      for (const lock of locks) expect((await lock.renew(signal)).held).toBe(true);
      for (const lock of locks) await lock.release(signal);
    });

    it("go to one of many who come at once", async ({ skip }) => {
      const name = someName();
      const locks = Array.from({ length: 8 }, (_, n) => contend(name, `c${n}`, skip));
      const tenures = await Promise.all(locks.map((lock) => lock.renew(signal)));
      expect(tenures.filter(({ held }) => held)).toHaveLength(1);
      const again = await Promise.all(locks.map((lock) => lock.renew(signal)));
      expect(again.map(({ held }) => held)).toEqual(tenures.map(({ held }) => held));
      for (const lock of locks) await lock.release(signal);
    });

    it("tell who holds them, and when they become free", async ({ skip }) => {
      const name = someName();
      const [one, two] = [contend(name, "one", skip), contend(name, "two", skip)];
      const watch = two.watch();
      await eventually(watch, (holder) => holder === undefined);
      await one.renew(signal);
      await eventually(watch, (holder) => holder === "one");
      await one.release(signal);
      await eventually(watch, (holder) => holder === undefined);
      await two.renew(signal);
      await eventually(watch, (holder) => holder === "two");
      await watch.close();
      await two.release(signal);
    });

    it("tell a cancelled call from an outage", async ({ skip }) => {
      const lock = contend(someName(), "one", skip);
      await expect(lock.renew(AbortSignal.abort())).rejects.toMatchObject({ code: "ABORTED" });
    });
  });
}
