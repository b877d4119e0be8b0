import { expect, it, onTestFinished } from "vitest";
import type { Snapshot } from "../../src/backends/backend.ts";
import { PortolanError } from "../../src/errors.ts";
import { unmeasured } from "../../src/meter.ts";
import { createCell } from "../../src/source.ts";
import { strictest } from "../../src/templater/guard-settings.ts";
import { createGuardedWorld } from "../../src/templater/guarded-world.ts";
import { instance, snapshotOf } from "./golden/world.ts";

/** A world whose keeping ends as `writes` says, one after the other, and what was kept of it. */
async function kept(writes: readonly ("good" | "bad")[] = []) {
  const left = snapshotOf([instance({ port: 79 })]);
  const asked: Snapshot[] = [];
  const world = createGuardedWorld({
    settings: strictest([{ hold: 0 }]),
    lastGood: {
      read: async () => ({ snapshot: left, at: "then" }),
      async keep(snapshot) {
        if (writes[asked.push(snapshot) - 1] === "bad") throw new PortolanError("FAILED", "no space");
      },
    },
    backend: { observed: createCell<Snapshot>().current, refresh() {} },
    name: { destination: "f" },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    meter: unmeasured,
    changed() {},
  });
  onTestFinished(world.stop);
  await world.ready;
  return { world, left, asked };
}

const [first, second] = [80, 81].map((port) => snapshotOf([instance({ port })]));

it("a world is written once, however often it is asked to be kept, and that of the process before is not", async () => {
  const { world, left, asked } = await kept();
  world.keep(left, undefined);
  for (const snapshot of [first, first, second, second]) world.keep(snapshot, undefined);
  await world.stop();
  // The second came while the first was being begun.
  expect(asked.at(-1)).toBe(second);
  expect(asked.filter((one) => one === second)).toHaveLength(1);
  expect(asked).not.toContain(left);
});

it("T3: a world that could not be written is written when it is asked for again", async () => {
  const { world, asked } = await kept(["bad"]);
  world.keep(first, undefined);
  await world.stop();
  world.keep(first, undefined);
  await world.stop();
  expect(asked).toEqual([first, first]);
});

it("the same snapshot is written again when keys have changed", async () => {
  const { world, asked } = await kept();
  const keys = (value: string) => ({ keys: new Map([["a", value]]), trees: new Map() });
  for (const value of ["1", "1", "2"]) {
    world.keep(first, keys(value));
    await world.stop();
  }
  expect(asked).toEqual([first, first]);
});

it("a hold is told by those who read the service, and by nobody else", async () => {
  const services = ["api", "web"].map((service) => instance({ service }));
  const cell = createCell<Snapshot>();
  const warned: unknown[] = [];
  const world = createGuardedWorld({
    settings: strictest([{}]),
    lastGood: { read: async () => ({ snapshot: snapshotOf(services), at: "then" }), keep: async () => {} },
    backend: { observed: cell.current, refresh() {} },
    name: { destination: "f" },
    log: { debug() {}, info() {}, warn: ({ service }) => void warned.push(service), error() {} },
    meter: unmeasured,
    changed() {},
  });
  onTestFinished(world.stop);
  await world.ready;
  cell.set(snapshotOf([]));
  world.look();
  const told = (...reads: Parameters<typeof world.show>[0][number][]) => {
    const { snapshot } = world.show(reads);
    // What is shown does not depend on it.
    expect([...(snapshot?.services.keys() ?? [])]).toEqual(["api", "web"]);
    expect(world.notReady()).toHaveLength(world.status().held?.length ?? 0);
    return world.status().held?.map(({ service }) => service);
  };
  const web = { services: new Set(["web"]), all: false };
  expect(told()).toBeUndefined();
  expect(warned).toEqual([]);
  expect(told(web)).toEqual(["web"]);
  expect(warned).toEqual(["web"]);
  expect(told(web, { services: new Set(), all: true })).toEqual(["api", "web"]);
  expect(warned).toEqual(["web", "api"]);
});
