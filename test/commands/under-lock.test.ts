import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Lock, Tenure } from "../../src/backends/backend.ts";
import { underLock } from "../../src/commands/under-lock.ts";
import { advance, monotonic, pause, reset } from "../registrator/virtual-clock.ts";

vi.mock("../../src/clock.ts", () => import("../registrator/virtual-clock.ts"));

const held: Tenure = { held: true, token: "7", ttl: 15 };
const never = new AbortController().signal;
beforeEach(() => reset(1));

/** A lock that answers what a test says, and work of a minute under it. */
function working(answer: () => Promise<Tenure>, stop = never) {
  const told = { beats: 0, released: 0, endedAfter: 0, aborted: false };
  const lock: Lock = {
    renew: () => {
      told.beats += 1;
      return answer();
    },
    watch: () => {
      throw new Error("nobody waits for it");
    },
    release: async () => {
      told.released += 1;
    },
  };
  const began = monotonic();
  const work = async (signal: AbortSignal) => {
    await pause(60_000, signal);
    told.endedAfter = monotonic() - began;
    told.aborted = signal.aborted;
    return "done";
  };
  return { told, outcome: underLock(lock, { token: "7", ttl: 15 }, work, stop) };
}

describe("underLock", () => {
  it("beats while the work goes on, and gives the lock up after it", async () => {
    const { told, outcome } = working(async () => held);
    await advance(60_000);
    expect(await outcome).toBe("done");
    expect(told).toMatchObject({ released: 1, endedAfter: 60_000, aborted: false });
    expect(told.beats).toBeGreaterThanOrEqual(11);
    const { beats } = told;
    await advance(60_000);
    expect(told.beats).toBe(beats);
  });

  it.each<[what: string, answer: () => Promise<Tenure>, before: number]>([
    ["somebody else has it", async () => ({ held: false, holder: "other" }), 5_001],
    ["it is another holding", async () => ({ ...held, token: "8" }), 5_001],
    ["nobody answers, before it runs out", () => Promise.reject(new Error("away")), 15_000],
  ])("ends the work where %s", async (_, answer, before) => {
    const { told, outcome } = working(answer);
    await advance(20_000);
    expect(await outcome).toBe("done");
    expect(told.aborted).toBe(true);
    expect(told.endedAfter).toBeLessThan(before);
    expect(told.released).toBe(1);
  });

  it("goes on over a beat that fails", async () => {
    let failures = 1;
    const { told, outcome } = working(async () => {
      if (failures-- > 0) throw new Error("away");
      return held;
    });
    await advance(60_000);
    expect(await outcome).toBe("done");
    expect(told.aborted).toBe(false);
  });

  it("ends the work when it is told to", async () => {
    const stop = new AbortController();
    const { told, outcome } = working(async () => held, stop.signal);
    await advance(1_000);
    stop.abort();
    await advance(0);
    expect(await outcome).toBe("done");
    expect(told).toMatchObject({ aborted: true, released: 1, endedAfter: 1_000 });
  });
});
