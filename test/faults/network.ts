// What a network does to those who talk through it. Each fault is written once, and runs on every backend with a server.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, type TestContext } from "vitest";
import { type FaultProxy, startFaultProxy } from "../servers/proxy.ts";
import { faultTest } from "./fault.ts";
import { newPlace, setScene } from "./scene.ts";
import type { FaultServer, FaultStore, StoreName } from "./store.ts";

interface NetworkFault {
  readonly name: string;
  begin(network: FaultProxy): void;
  /** Whether a change that is made meanwhile is seen in spite of it, or that something is wrong, or either. */
  readonly shows: "the change" | "the problem" | "either";
  /** Where it runs in `npm test`. */
  readonly daily: readonly StoreName[];
}

const faults: readonly NetworkFault[] = [
  {
    name: "carries every packet 300 ms late",
    begin: (network) => network.latency(300),
    shows: "the change",
    daily: ["etcd", "consul", "consulkv", "zookeeper"],
  },
  {
    name: "carries 2 KB a second",
    begin: (network) => network.throttle(2_000),
    shows: "either",
    daily: [],
  },
  {
    name: "drips two bytes a second, which are signs of life and no answers",
    begin: (network) => network.throttle(2, "toClient"),
    shows: "the problem",
    daily: [],
  },
  {
    name: "forgot its connections, which are half-open, and carries new ones",
    begin: (network) => network.forget(),
    shows: "the change",
    daily: ["consul"],
  },
  {
    name: "swallows everything",
    begin: (network) => network.drop(),
    shows: "the problem",
    daily: ["consulkv"],
  },
  {
    name: "holds everything back",
    begin: (network) => network.hold(),
    shows: "the problem",
    daily: [],
  },
  {
    name: "swallows what the server says",
    begin: (network) => network.drop("toClient"),
    shows: "the problem",
    daily: [],
  },
  {
    name: "refuses",
    begin: (network) => network.refuse(),
    shows: "the problem",
    daily: ["consulkv"],
  },
];

/** Faults of the network between a server and those near the reader. */
export function networkFaults(store: FaultStore): void {
  describe(`${store.name}: a network that`, () => {
    let server: FaultServer;
    beforeAll(async () => {
      server = await store.start();
    });
    afterAll(() => server?.stop());

    const begin = async (context: TestContext) => {
      const network = await startFaultProxy({ upstream: { port: server.port } });
      context.onTestFinished(() => network.stop());
      const place = newPlace();
      const [far, near] = [await store.open(server.port, place), await store.open(network.port, place)];
      return { network, scene: await setScene(context, store, place, { far, near }) };
    };
    const end = async (network: FaultProxy) => {
      network.latency(0);
      network.throttle(Infinity);
      await network.pass();
    };

    for (const fault of faults) {
      const outcome = fault.shows === "either" ? "" : ` and shows ${fault.shows}`;
      const name = `${fault.name}: nothing shrinks${outcome}, and all is in order after it (T3, B1)`;
      faultTest(store, name, fault.daily, async (context) => {
        const { network, scene } = await begin(context);
        fault.begin(network);
        scene.far.add(scene.kept);
        scene.near.add(scene.troubled);
        if (fault.shows === "the change") await scene.shows(scene.kept, 4);
        if (fault.shows === "the problem") await scene.problem("unreachable");
        if (fault.shows === "either") await sleep(8_000);
        scene.expectNothingLess();
        await end(network);
        await scene.inOrder();
        scene.expectNothingLess();
      });
    }

    faultTest(store, "resets all connections again and again: the same (T3, B1)", [], async (context) => {
      const { network, scene } = await begin(context);
      scene.near.add(scene.troubled);
      for (let n = 0; n < 30; n += 1) {
        network.cut();
        scene.far.add(scene.kept);
        await sleep(200);
      }
      await end(network);
      await scene.inOrder();
      scene.expectNothingLess();
    });

    faultTest(store, "ends answers in their middle: the same (T3, B1)", [], async (context) => {
      const { network, scene } = await begin(context);
      for (const bytes of [1, 5, 20, 100, 300, 1_000]) {
        network.after(bytes, "cut");
        scene.far.add(scene.kept);
        await sleep(300);
      }
      await end(network);
      await scene.inOrder();
      scene.expectNothingLess();
    });
  });
}
