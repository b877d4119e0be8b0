import { getEventListeners } from "node:events";
import { describe, expect, it, vi } from "vitest";
import { after, deadline, pause } from "../src/clock.ts";

describe("clock", () => {
  it("does not take a time that no timer can hold for none", async () => {
    const early = vi.fn();
    const cancel = after(1e12, early);
    const ending = new AbortController();
    void pause(1e12, ending.signal).then(early);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(early).not.toHaveBeenCalled();
    cancel();
    ending.abort();
  });

  it("leaves nothing on a living signal when another one has aborted before", () => {
    const living = new AbortController().signal;
    const reason = new Error("over");
    const signal = deadline(60_000, AbortSignal.abort(reason), living);
    expect(signal.reason).toBe(reason);
    expect(getEventListeners(living, "abort")).toHaveLength(0);
  });
});
