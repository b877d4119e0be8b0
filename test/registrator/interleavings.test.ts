import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RegistratorSettings } from "../../src/registrator/settings.ts";
import fc from "../property.ts";
import { advance, chance } from "./virtual-clock.ts";
import type { Telling } from "./virtual-docker.ts";
import { startWorld } from "./world.ts";

type Check = (world: Awaited<ReturnType<typeof startWorld>>) => Promise<void>;

vi.mock("../../src/clock.ts", () => import("./virtual-clock.ts"));

/** One thing that happens to a container, to Docker, to the backend or to the registrator, and the ms after it. */
interface Step {
  readonly what: string;
  readonly name: string;
  readonly telling: Telling;
  readonly wait: number;
}

/** How many orders of events each property is tried with. */
const schedules = Number(process.env.PORTOLAN_TEST_SCHEDULES ?? 300);

beforeEach(() => {
  vi.spyOn(Math, "random").mockImplementation(chance);
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("whatever happens in whatever order", () => {
  const step = fc.record({
    what: fc.oneof(
      {
        weight: 4,
        arbitrary: fc.constantFrom("run", "run", "beside", "exit", "crash", "stop", "restart", "remove"),
      },
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          "signal",
          "pause",
          "health",
          "rename",
          "network",
          "sicken",
          "hiccup",
          "crashLoop",
        ),
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

  /** Tries a property of the world after each of many orders of steps. */
  const always = (
    of: fc.Arbitrary<Step>,
    over: Partial<RegistratorSettings>,
    check: Check,
    numRuns = schedules,
  ) =>
    fc.assert(
      fc.asyncProperty(fc.array(of, { minLength: 3, maxLength: 25 }), fc.nat(), async (steps, seed) => {
        const world = await startWorld(seed, over);
        await world.go(...steps.map(({ what, name, telling, wait }) => [what, name, telling, wait] as const));
        await check(world);
        await world.stop();
      }),
      { numRuns },
    );

  it("R4: the backend ends equal to Docker, in hundreds of schedules", async () => {
    await always(step, {}, async (world) => {
      await world.settle();
      expect(world.held()).toEqual(world.truth());
      expect(world.notReady()).toEqual([]);
    });
  }, 240_000);

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
    await always(plainStep, { resync: 600_000 }, async (world) => {
      world.store.script.slow = 5;
      await advance(5000);
      expect(world.wronged).toEqual([]);
      expect(world.held()).toEqual(world.truth());
      expect(world.notReady()).toEqual([]);
    });
  }, 240_000);

  const sickStep = fc.record({
    what: fc.constantFrom(
      ...["run", "run", "beside", "beside", "exit", "restart", "pause", "health", "rename", "network"],
      ...["sicken", "sicken", "hiccup", "hiccup", "dockerSlow", "cut", "upgrade", "upgrade"],
    ),
    name: fc.constantFrom("a", "b", "c"),
    telling: fc.constantFrom<Telling>("once", "twice"),
    wait: fc.constantFrom(0, 0, 1, 5, 20, 100, 1000, 6000),
  });

  it("R8: what Docker cannot describe is not removed, and read as soon as Docker can", async () => {
    const check: Check = async (world) => {
      world.heal();
      await advance(45_000);
      expect(world.wronged).toEqual([]);
      expect(world.held()).toEqual(world.truth());
      expect(world.notReady()).toEqual([]);
    };
    await always(sickStep, { resync: 600_000 }, check, schedules / 4);
  }, 240_000);

  const failingStep = fc.record({
    what: fc.constantFrom(
      ...["runKept", "runKept", "crash", "crash", "crashLoop", "crashLoop", "pause", "health"],
      ...["hiccup", "dockerSlow", "cut", "upgrade", "upgrade"],
    ),
    name: fc.constantFrom("a", "b"),
    telling: fc.constantFrom<Telling>("once", "once", "twice", "never"),
    wait: fc.constantFrom(0, 1, 20, 100, 1000, 6000, 20_000),
  });

  it("what is kept of a container that fails stays until it runs, whoever looks", async () => {
    const check: Check = async (world) => {
      world.heal();
      await advance(45_000);
      expect(world.store.script.writes.filter((write) => write.startsWith("-"))).toEqual([]);
      expect(world.held()).toEqual(world.truth());
    };
    await always(failingStep, {}, check, schedules / 4);
  }, 240_000);
});
