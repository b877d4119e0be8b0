// What becomes of a server itself: each fault is written once, and runs on every backend that has one.
import { setTimeout as sleep } from "node:timers/promises";
import { describe, type TestContext } from "vitest";
import { faultTest } from "./fault.ts";
import { newPlace, type Scene, setScene } from "./scene.ts";
import type { FaultServer, FaultStore, StoreName } from "./store.ts";

interface ProcessFault {
  readonly name: string;
  /** Ends when the server can serve again. */
  happen(server: FaultServer, scene: Scene, ttl: number): Promise<void>;
  readonly daily: readonly StoreName[];
}

const faults: readonly ProcessFault[] = [
  {
    name: "stood still for longer than the time to live has everything registered again (R10, T3)",
    async happen(server, scene, ttl) {
      server.pause();
      scene.reader.refresh();
      await sleep(ttl * 1_500);
      await scene.problem("unreachable");
      scene.expectNothingLess();
      server.resume();
    },
    daily: ["etcd"],
  },
  {
    name: "was killed alone, and comes back with what it had, hides nothing (R2, T3)",
    async happen(server, scene) {
      await server.kill();
      await scene.problem("unreachable");
      scene.expectNothingLess();
      await server.start();
    },
    daily: ["etcd"],
  },
  {
    name: "was killed again and again is filled in the end (R2, B1)",
    async happen(server, scene) {
      for (let n = 0; n < 3; n += 1) {
        await server.restart("kill");
        scene.far.add(scene.kept);
        await sleep(300);
      }
    },
    daily: [],
  },
  {
    name: "lost its data is filled again (R5)",
    async happen(server, scene) {
      await server.wipeAndRestart();
      scene.far.add(scene.kept);
    },
    daily: [],
  },
];

/** Faults of a server that stands alone. */
export function processFaults(store: FaultStore): void {
  describe(`${store.name}: a server that`, () => {
    for (const { name, happen, daily } of faults) {
      faultTest(store, name, daily, async (context: TestContext) => {
        const server = await store.start();
        context.onTestFinished(() => server.stop());
        const place = newPlace();
        const [far, near] = [await store.open(server.port, place), await store.open(server.port, place)];
        const scene = await setScene(context, store, place, { far, near });
        await happen(server, scene, store.ttl);
        await scene.inOrder();
        scene.far.add(scene.kept);
        await scene.inOrder();
      });
    }
  });
}
