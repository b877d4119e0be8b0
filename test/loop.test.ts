import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { controlLoop, type Loop } from "../src/loop.ts";

describe("controlLoop", () => {
  let loop: Loop;
  beforeEach(() => void vi.useFakeTimers());
  afterEach(async () => {
    vi.useRealTimers();
    await loop.stop();
  });
  const settle = () => vi.advanceTimersByTimeAsync(0);

  it("does nothing before the first nudge and one pass for a burst", async () => {
    const pass = vi.fn(async () => undefined);
    loop = controlLoop({ pass });
    await settle();
    expect(pass).toHaveBeenCalledTimes(0);
    for (let i = 0; i < 100; i++) loop.nudge();
    await settle();
    expect(pass).toHaveBeenCalledTimes(1);
  });

  it("runs exactly one more pass for nudges during a pass", async () => {
    let finish = () => {};
    const pass = vi.fn(() => new Promise<undefined>((resolve) => (finish = () => resolve(undefined))));
    loop = controlLoop({ pass });
    loop.nudge();
    await settle();
    loop.nudge();
    loop.nudge();
    finish();
    await settle();
    expect(pass).toHaveBeenCalledTimes(2);
    finish();
    await settle();
    expect(pass).toHaveBeenCalledTimes(2);
  });

  it("lets a pass begin at once and settle after min", async () => {
    const settledAt: number[] = [];
    const startedAt: number[] = [];
    loop = controlLoop({
      wait: { min: 25, max: 2000 },
      async pass(turn) {
        startedAt.push(performance.now());
        if (!(await turn.settled())) return "superseded";
        settledAt.push(performance.now());
        return undefined;
      },
    });
    const t0 = performance.now();
    loop.nudge();
    await vi.advanceTimersByTimeAsync(100);
    expect(startedAt[0]).toBe(t0);
    expect(settledAt).toEqual([t0 + 25]);
  });

  it("takes changes in that come while it settles, and is not starved by a constant stream", async () => {
    const applied: number[] = [];
    loop = controlLoop({
      wait: { min: 25, max: 200 },
      async pass(turn) {
        if (!(await turn.settled())) return "superseded";
        applied.push(performance.now());
        return undefined;
      },
    });
    const t0 = performance.now();
    for (let i = 0; i < 100; i++) {
      loop.nudge();
      await vi.advanceTimersByTimeAsync(10);
    }
    await vi.advanceTimersByTimeAsync(1000);
    expect(applied.length).toBeGreaterThanOrEqual(4);
    expect(applied.length).toBeLessThanOrEqual(12);
    expect((applied[0] ?? 0) - t0).toBeLessThanOrEqual(250);
  });

  it("tries again after a failure, at most three times a second however often it is nudged", async () => {
    let calls = 0;
    const waits: number[] = [];
    loop = controlLoop({
      async pass() {
        calls += 1;
        throw new Error("down");
      },
      failed: (_error, wait) => waits.push(wait),
    });
    loop.nudge();
    for (let i = 0; i < 100; i++) {
      await vi.advanceTimersByTimeAsync(20);
      loop.nudge();
    }
    expect(calls).toBeGreaterThanOrEqual(4);
    expect(calls).toBeLessThanOrEqual(7);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(calls).toBeGreaterThanOrEqual(10);
    expect(Math.max(...waits)).toBeLessThanOrEqual(10_000);
  });

  it("does not let a nudge wait that comes during a pass that fails", async () => {
    let fail = () => {};
    const startedAt: number[] = [];
    loop = controlLoop({
      pass: () => {
        startedAt.push(performance.now());
        return new Promise((_resolve, reject) => (fail = () => reject(new Error("down"))));
      },
    });
    loop.nudge();
    // Far into the backoff, where the wait would mostly be seconds.
    for (let at = 0; at < 20; at += 1) {
      await vi.advanceTimersByTimeAsync(11_000);
      if (at < 19) fail();
    }
    loop.nudge();
    const failedAt = performance.now();
    fail();
    await vi.advanceTimersByTimeAsync(400);
    fail();
    expect((startedAt.at(-1) ?? 0) - failedAt).toBeGreaterThan(0);
  });

  it("spreads the first tries after a failure, too (B1)", async () => {
    const waits: number[] = [];
    loop = controlLoop({
      async pass() {
        throw new Error("down");
      },
      failed: (_error, wait) => waits.push(wait),
    });
    loop.nudge();
    await vi.advanceTimersByTimeAsync(1000);
    expect(new Set(waits.slice(0, 2)).size).toBe(2);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(350);
  });

  it("aborts the turn when it is stopped and waits for the pass in hand", async () => {
    let ended = false;
    loop = controlLoop({
      async pass({ signal }) {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        ended = true;
        return undefined;
      },
    });
    loop.nudge();
    await settle();
    await loop.stop();
    expect(ended).toBe(true);
  });
});
