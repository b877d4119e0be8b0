// What becomes of a reader whose rights or password somebody takes away while it reads.
import { describe } from "vitest";
import { faultTest } from "./fault.ts";
import { setScene } from "./scene.ts";
import type { FaultStore, GuardedServer } from "./store.ts";

interface RightsFault {
  readonly name: string;
  take(server: GuardedServer): Promise<void>;
  give(server: GuardedServer): Promise<void>;
}

const faults: readonly RightsFault[] = [
  {
    name: "whose rights are taken shows the last good snapshot and the refusal, until it has them again (T3, B3)",
    take: (server) => server.revoke(),
    give: (server) => server.grant(),
  },
  {
    name: "whose password is changed shows the last good snapshot and the refusal, until its file has the new one (T3, B3)",
    take: (server) => server.change(),
    give: (server) => server.tell(),
  },
];

/** Faults of what a reader may do. What it reads is written by others. */
export function rightsFaults(store: FaultStore): void {
  describe(`${store.name}: a reader`, () => {
    for (const { name, take, give } of faults) {
      faultTest(store, name, ["zookeeper"], async (context) => {
        const server = await store.startGuarded();
        context.onTestFinished(() => server.stop());
        const [far, near, reader] = await Promise.all([
          server.openRoot(),
          server.openRoot(),
          server.openReader(),
        ]);
        const scene = await setScene(context, store, "guarded", { far, near, reader });
        await take(server);
        scene.reader.refresh();
        await scene.problem("denied");
        scene.far.add(scene.kept);
        scene.expectNothingLess();
        await give(server);
        await scene.inOrder();
        scene.expectNothingLess();
      });
    }
  });
}
