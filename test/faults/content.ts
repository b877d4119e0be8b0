// What may stand under our keys that we did not write: it hides nothing of what stands beside it.
import { afterAll, beforeAll, describe, expect } from "vitest";
import { faultTest } from "./fault.ts";
import { newPlace, setScene } from "./scene.ts";
import type { FaultServer, FaultStore, StoreName } from "./store.ts";

const megabyte = 1024 * 1024;

const litters: readonly (readonly [what: string, size: number, daily: readonly StoreName[]])[] = [
  ["garbage", 0, ["etcd", "consul", "consulkv", "zookeeper"]],
  ["garbage of 10 MB a piece", 10 * megabyte, ["etcd"]],
];

/** Whose reader asks for all that stands in a place at once. */
const readsAll: readonly StoreName[] = ["etcd", "consulkv"];

/** Faults of what stands there. Whose leases run out is of no interest here, so they are long. */
export function contentFaults(store: FaultStore): void {
  describe(`${store.name}: under our keys`, () => {
    let server: FaultServer;
    beforeAll(async () => {
      server = await store.start();
    });
    afterAll(() => server?.stop());

    for (const [what, size, daily] of litters) {
      const name = `${what} hides nothing, is told in a few words, and changes beside it are seen (T3, T4)`;
      faultTest(store, name, daily, async (context) => {
        const place = newPlace();
        const [far, near] = [await store.open(server.port, place), await store.open(server.port, place)];
        const scene = await setScene(context, { ttl: 30 }, place, { far, near });
        const unreadable = await server.litter(place, scene.kept, size);
        scene.far.add(scene.kept);
        await scene.shows(scene.kept, 4);
        await scene.inOrder();
        // Who begins to read now sees the same.
        const late = near.observe({ services: new Set([scene.kept]) });
        context.onTestFinished(() => late.close());
        await scene.until("a reader that comes later", () => scene.count(late, scene.kept) === 4);
        for (const reader of [scene.reader, late]) {
          const now = reader.current();
          const reasons = now.known ? [...now.value.invalid.values()] : [];
          expect(reasons).toHaveLength(unreadable);
          expect(reasons.filter((reason) => reason.length > 1_000)).toEqual([]);
        }
        scene.expectNothingLess();
      });
    }

    const name = "more than 64 MB is not read, which is told with the way out, and what is known stays (T3)";
    if (!readsAll.includes(store.name)) return;
    faultTest(store, name, [], async (context) => {
      const place = newPlace();
      const [far, near] = [await store.open(server.port, place), await store.open(server.port, place)];
      const scene = await setScene(context, { ttl: 30 }, place, { far, near });
      for (let n = 0; n < 4; n += 1) await server.litter(place, `much-${n}`, 10 * megabyte);
      scene.reader.refresh();
      const told = () => scene.reader.current().problem?.error.message ?? "";
      await scene.until("the problem", () => /longer than 64 MB, .* remove what does not/.test(told()));
      scene.expectNothingLess();
    });
  });
}
