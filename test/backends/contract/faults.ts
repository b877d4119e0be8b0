import { describe, expect, it } from "vitest";
import type { Backend, Observation } from "../../../src/backends/backend.ts";
import type { Problem, Source } from "../../../src/source.ts";
import { eventually, ids, type Stage, signal, someInstance, someOwner } from "./stage.ts";

/** Milliseconds for what takes a deadline of 5 s and a backoff: ten times that. */
const within = 100_000;

/** What is away, refused, or lost: nothing of it looks empty, and all of it mends. */
export function faultsSuite(stage: Stage): void {
  const { joined, reader } = stage;

  describe("faults", () => {
    /** Resolves once the source has such a problem, or none. */
    const problemOf = <T>(source: Source<T>, kind: Problem["kind"] | undefined) =>
      new Promise<void>((resolve, reject) => {
        const look = () => {
          if (source.current().problem?.kind !== kind) return;
          clearTimeout(timer);
          unsubscribe();
          resolve();
        };
        const unsubscribe = source.subscribe(look);
        const timer = setTimeout(() => {
          unsubscribe();
          reject(new Error(`no problem "${kind}" within ${within} ms: ${source.current().problem?.error}`));
        }, within);
        look();
      });
    /** Tries until it succeeds, as a loop does. */
    const atLast = async <T>(work: () => Promise<T>): Promise<T> => {
      for (const end = performance.now() + within; ; ) {
        try {
          return await work();
        } catch (error) {
          if (performance.now() > end) throw error;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    };
    const key = `contract-${process.pid}/fault`;
    const all = { keys: new Set([key]), trees: new Set([key]) };

    /** Asserts that whatever is asked of a backend rejects with the code, and that nothing is known. */
    const expectNothing = async (backend: Backend, kind: Problem["kind"], code: string) => {
      const observation = backend.observe({ services: "all" });
      const values = backend.kv?.watch(all);
      await problemOf(observation, kind);
      expect(observation.current().known).toBe(false);
      await expect(backend.lease(someOwner(), stage.ttl).renew(signal)).rejects.toMatchObject({ code });
      const living = backend.living?.(new Set(["somebody"]), signal);
      if (living) await expect(living).rejects.toMatchObject({ code });
      const listed = backend.listed?.(someOwner(), signal);
      if (listed) await expect(listed).rejects.toMatchObject({ code });
      if (backend.kv && values) {
        await problemOf(values, kind);
        expect(values.current().known).toBe(false);
        await expect(backend.kv.get(key, signal)).rejects.toMatchObject({ code });
        await expect(backend.kv.list(key, signal)).rejects.toMatchObject({ code });
        await expect(backend.kv.tree(key, signal)).rejects.toMatchObject({ code });
        await expect(backend.kv.put(key, "x", signal)).rejects.toMatchObject({ code });
        await values.close();
      }
      const lock = backend.lock?.("contract-fault", "one", stage.ttl);
      if (lock) await expect(lock.renew(signal)).rejects.toMatchObject({ code });
      const notes = backend.notes?.("overrides");
      if (notes) {
        const watch = notes.watch();
        await problemOf(watch, kind);
        expect(watch.current().known).toBe(false);
        await expect(notes.list(signal)).rejects.toMatchObject({ code });
        await expect(notes.put("fault", "x", signal)).rejects.toMatchObject({ code });
        // Who may not look may be told all the same that there is nothing to be removed.
        if (kind === "unreachable")
          await expect(notes.remove("fault", signal)).rejects.toMatchObject({ code });
        await expect(notes.hold("fault", stage.ttl).renew("x", signal)).rejects.toMatchObject({ code });
        await watch.close();
      }
      await observation.close();
      await backend.close();
    };

    it("tells what is unreachable from what is empty, everywhere", async ({ skip }) => {
      const { openUnreachable } = stage.world;
      if (!openUnreachable) return skip("there is nothing that could be away");
      await expectNothing(await openUnreachable(), "unreachable", "BACKEND_UNREACHABLE");
    });

    it("tells what is denied from what is empty, everywhere", async ({ skip }) => {
      const { openDenied } = stage.world;
      if (!openDenied) return skip("its tests cannot take rights away");
      await expectNothing(await openDenied(key), "denied", "BACKEND_DENIED");
    });

    /** Whatever an observation shows, from now on. */
    const sizes = (observation: Observation, service: string) => {
      const seen: (number | undefined)[] = [];
      observation.subscribe(() => {
        const now = observation.current();
        seen.push(now.known ? ids(now.value, service)?.length : undefined);
      });
      return seen;
    };

    it("keeps what it knows while it is cut off, says so, and misses nothing of what happened", async ({
      skip,
    }) => {
      const { cut, heal } = stage.world;
      if (!cut || !heal) return skip("nothing lies between it and its store");
      const away = await stage.world.open();
      const owner = someOwner();
      // Long enough to live through the cut.
      const lease = away.lease(owner, stage.ttl * 20);
      await lease.renew(signal);
      const instance = someInstance(owner, { service: "cut" });
      await lease.register(instance, signal);
      const observation = await reader(["cut"], away);
      await eventually(observation, (s) => ids(s, "cut")?.length === 1);
      const seen = sizes(observation, "cut");
      const kv = away.kv;
      await kv?.put(key, "before", signal);
      const values = kv?.watch({ keys: new Set([key]), trees: new Set() });
      if (values) await eventually(values, (s) => s.keys.get(key) === "before");
      const lock = away.lock?.("contract-cut", "one", stage.ttl * 20);
      const token = await lock?.renew(signal);
      const notes = away.notes?.("overrides");
      await notes?.put("cut", "before", signal);
      const noted = notes?.watch();
      if (noted) await eventually(noted, (all) => all.get("cut") === "before");
      const note = notes?.hold("cut-held", stage.ttl * 20);
      await note?.renew("held", signal);

      await cut();
      await problemOf(observation, "unreachable");
      await expect(lease.owned(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
      await expect(lease.renew(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
      if (kv && values) {
        await problemOf(values, "unreachable");
        await expect(kv.get(key, signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
      }
      if (lock) await expect(lock.renew(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
      if (notes && noted && note) {
        await problemOf(noted, "unreachable");
        await expect(notes.list(signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
        await expect(note.renew("held", signal)).rejects.toMatchObject({ code: "BACKEND_UNREACHABLE" });
        expect(noted.current()).toMatchObject({ known: true });
      }
      await heal();
      await atLast(() => lease.renew(signal));
      await atLast(() => lease.register({ ...instance, id: "second" }, signal));
      await eventually(observation, (s) => ids(s, "cut")?.length === 2, within);
      expect(seen.filter((size) => size !== 1 && size !== 2)).toEqual([]);
      await problemOf(observation, undefined);
      if (kv && values) {
        await atLast(() => kv.put(key, "after", signal));
        await eventually(values, (s) => s.keys.get(key) === "after", within);
        await kv.remove(key, signal);
        await values.close();
      }
      if (lock)
        expect(await atLast(() => lock.renew(signal))).toMatchObject({ ...token, ttl: expect.any(Number) });
      await lock?.release(signal);
      if (notes && noted && note) {
        expect(await atLast(() => note.renew("held", signal))).toMatchObject({ fresh: false });
        await atLast(() => notes.put("cut", "after", signal));
        await eventually(
          noted,
          (all) => all.get("cut") === "after" && all.get("cut-held") === "held",
          within,
        );
        await problemOf(noted, undefined);
        await noted.close();
        await note.release(signal);
        await notes.remove("cut", signal);
      }
      await observation.close();
      await lease.release(signal);
      await away.close();
    });

    it("is filled again after a wipe, and shows what is there", async ({ skip }) => {
      const { wipe } = stage.world;
      if (!wipe) return skip("its tests cannot take everything away");
      const owner = someOwner();
      const lease = await joined(owner);
      const instance = someInstance(owner, { service: "wiped" });
      await lease.register(instance, signal);
      const observation = await reader(["wiped"]);
      await eventually(observation, (s) => ids(s, "wiped")?.length === 1);
      const lock = stage.backend.lock?.("contract-wiped", "one", stage.ttl);
      const before = await lock?.renew(signal);
      const notes = stage.backend.notes?.("templaters");
      const note = notes?.hold("contract-wiped", stage.ttl);
      await note?.renew("before", signal);
      await wipe();
      // What was lost is noticed by the next beat, or by the next write, which then asks for another lease.
      await atLast(async () => {
        await lease.renew(signal);
        expect(await lease.owned(signal)).toEqual([]);
        await lease.register({ ...instance, port: 7 }, signal);
      });
      await eventually(observation, (s) => s.services.get("wiped")?.[0]?.port === 7, within);
      expect(await lease.owned(signal)).toHaveLength(1);
      const after = await lock?.renew(signal);
      if (before) expect(after).toMatchObject({ held: true });
      await lock?.release(signal);
      await note?.renew("after", signal);
      if (notes) expect([...(await notes.list(signal))]).toEqual([["contract-wiped", "after"]]);
      await note?.release(signal);
      await observation.close();
      await lease.release(signal);
    });
  });
}
