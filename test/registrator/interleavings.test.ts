import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { advance, chance } from "./virtual-clock.ts";
import type { Telling } from "./virtual-docker.ts";
import { startWorld } from "./world.ts";

vi.mock("../../src/clock.ts", () => import("./virtual-clock.ts"));

/** One thing that happens to a container, to Docker, to the backend or to the registrator, and the ms after it. */
interface Step {
  readonly what: string;
  readonly name: string;
  readonly telling: Telling;
  readonly wait: number;
}

/** How many orders of events each property is tried with. */
const schedules = Number(process.env.SCHEDULES ?? 1000);

beforeEach(() => {
  vi.spyOn(Math, "random").mockImplementation(chance);
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("whatever happens in whatever order", () => {
  const step = fc.record({
    what: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom("run", "run", "exit", "crash", "stop", "restart", "remove") },
      {
        weight: 3,
        arbitrary: fc.constantFrom("signal", "pause", "health", "rename", "network", "sicken", "crashLoop"),
      },
      {
        weight: 2,
        arbitrary: fc.constantFrom("deliver", "cut", "dockerRestart", "dockerClock", "dockerSlow", "upgrade"),
      },
      { weight: 1, arbitrary: fc.constantFrom("refuse", "hang", "storeSlow", "wipe", "lose") },
    ),
    name: fc.constantFrom("a", "b", "c"),
    telling: fc.constantFrom<Telling>("once", "once", "once", "twice", "never", "late"),
    wait: fc.constantFrom(0, 0, 1, 5, 20, 100, 1000, 6000, 20_000),
  });

  it("R4: the backend ends equal to Docker, in thousands of schedules", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 3, maxLength: 25 }),
        fc.nat(),
        async (steps: Step[], seed) => {
          const world = await startWorld(seed);
          await world.go(
            ...steps.map(({ what, name, telling, wait }) => [what, name, telling, wait] as const),
          );
          await world.settle();
          expect(world.held()).toEqual(world.truth());
          expect(world.notReady()).toEqual([]);
          await world.stop();
        },
      ),
      { numRuns: schedules },
    );
  }, 120_000);

  const plainStep = fc.record({
    what: fc.constantFrom(
      ...[
        "run",
        "run",
        "exit",
        "stop",
        "restart",
        "remove",
        "signal",
        "pause",
        "health",
        "rename",
        "network",
      ],
      ...["cut", "upgrade", "storeSlow"],
    ),
    name: fc.constantFrom("a", "b", "c"),
    telling: fc.constantFrom<Telling>("once", "twice"),
    wait: fc.constantFrom(0, 0, 1, 5, 20, 100, 1000),
  });

  it("R1 R2: where no event is lost, no full read is needed", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(plainStep, { minLength: 3, maxLength: 25 }),
        fc.nat(),
        async (steps: Step[], seed) => {
          const world = await startWorld(seed, { resync: 600_000 });
          await world.go(
            ...steps.map(({ what, name, telling, wait }) => [what, name, telling, wait] as const),
          );
          world.store.script.slow = 5;
          await advance(5000);
          expect(world.wronged).toEqual([]);
          expect(world.held()).toEqual(world.truth());
          expect(world.notReady()).toEqual([]);
          await world.stop();
        },
      ),
      { numRuns: schedules },
    );
  }, 120_000);
});
