import { getEventListeners } from "node:events";
import { describe, expect, it, vi } from "vitest";
import { after as callAfter, deadline, monotonic, pause, pauseUntil } from "../src/clock.ts";

describe("clock", () => {
  it("does not take a time that no timer can hold for none", async () => {
    const early = vi.fn();
    const cancel = callAfter(1e12, early);
    const ending = new AbortController();
    void pause(1e12, ending.signal).then(early);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(early).not.toHaveBeenCalled();
    cancel();
    ending.abort();
  });

  it.each([
    ["a day back", -86_400_000],
    ["ten years on", 315_360_000_000],
  ])("B2: a wall clock that is set %s moves no time, no timer and no deadline", async (_what, jump) => {
    const start = monotonic();
    const early = vi.fn();
    const signal = deadline(60_000);
    const cancels = [callAfter(60_000, early), callAfter(50, () => {})];
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + jump });
    try {
      await pause(50);
      // Timers count whole milliseconds, and two clocks.
      expect(monotonic() - start).toBeGreaterThanOrEqual(47);
      expect(monotonic() - start).toBeLessThan(30_000);
      expect([early.mock.calls.length, signal.aborted]).toEqual([0, false]);
    } finally {
      vi.useRealTimers();
      for (const cancel of cancels) cancel();
    }
  });

  it("waits for a moment, and takes no turn of the event loop for one that is past", async () => {
    const start = monotonic();
    let turned = false;
    setImmediate(() => {
      turned = true;
    });
    await pauseUntil(start - 1);
    expect(turned).toBe(false);
    await pauseUntil(start + 50);
    // Timers count whole milliseconds, and two clocks.
    expect(monotonic() - start).toBeGreaterThanOrEqual(47);
  });

  it("leaves nothing on a living signal when another one has aborted before", () => {
    const living = new AbortController().signal;
    const reason = new Error("over");
    const signal = deadline(60_000, AbortSignal.abort(reason), living);
    expect(signal.reason).toBe(reason);
    expect(getEventListeners(living, "abort")).toHaveLength(0);
  });
});
