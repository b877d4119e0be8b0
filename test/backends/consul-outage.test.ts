import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createOutage } from "../../src/backends/consul/outage.ts";

const gone = () => Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
const never = new AbortController().signal;

/** An agent that is away until `back`, and counts who tries to reach it. */
function agent() {
  const unlessAway = createOutage();
  const state = { isAway: true, tries: 0 };
  const reach = async () => {
    state.tries += 1;
    await sleep(1);
    if (state.isAway) throw gone();
    return "answer";
  };
  return {
    state,
    ask: ({ isHeld = false } = {}) => unlessAway(reach, isHeld, never),
  };
}

describe("an agent of Consul that is away", () => {
  it("is tried three times a second at most, whoever wants something of it, and all go on once it is back", async () => {
    const { state, ask } = agent();
    const begun = performance.now();
    let isOver = false;
    // Five that try for ever, as the loops of a process do.
    const loops = Array.from({ length: 5 }, async () => {
      while (!isOver) await ask().catch(() => sleep(1));
    });
    await sleep(1_500);
    const seconds = (performance.now() - begun) / 1000;
    // The first tries of all come before anybody knows.
    expect(state.tries - loops.length).toBeLessThanOrEqual(seconds * 3);
    expect(state.tries).toBeGreaterThan(loops.length);
    state.isAway = false;
    isOver = true;
    await Promise.all(loops);
    const before = state.tries;
    expect(await Promise.all([ask(), ask({ isHeld: true })])).toEqual(["answer", "answer"]);
    expect(state.tries).toBe(before + 2);
  });

  it("fails all who wait for a try with the failure of that try", async () => {
    const { state, ask } = agent();
    await expect(ask()).rejects.toThrow("ECONNREFUSED");
    const waiting = [ask(), ask(), ask()];
    for (const outcome of await Promise.allSettled(waiting))
      expect(outcome).toMatchObject({ status: "rejected" });
    expect(state.tries).toBe(2);
  });

  it("is not tried by a query that may be held", async () => {
    const { state, ask } = agent();
    await expect(ask()).rejects.toThrow("ECONNREFUSED");
    await expect(ask({ isHeld: true })).rejects.toThrow("ECONNREFUSED");
    expect(state.tries).toBe(1);
  });

  it("is tried by the next one where a try is cancelled, and whoever waits for a try may be cancelled", async () => {
    const unlessAway = createOutage();
    const [first, second] = [new AbortController(), new AbortController()];
    await expect(unlessAway(() => Promise.reject(gone()), false, never)).rejects.toThrow("ECONNREFUSED");
    const trying = unlessAway(
      () => Promise.reject(new Error("cancelled by its caller")),
      false,
      first.signal,
    );
    const waiting = unlessAway(async () => "too late", false, second.signal);
    const next = unlessAway(async () => "answer", false, never);
    second.abort();
    await expect(waiting).rejects.toThrow("cancelled");
    first.abort();
    await expect(trying).rejects.toThrow("cancelled by its caller");
    expect(await next).toBe("answer");
  });

  it("is there when it refuses: what it says is an answer", async () => {
    const unlessAway = createOutage();
    const refusal = Object.assign(new Error("forbidden"), { isResponse: true });
    await expect(unlessAway(() => Promise.reject(gone()), false, never)).rejects.toThrow();
    await expect(unlessAway(() => Promise.reject(refusal), false, never)).rejects.toThrow("forbidden");
    expect(await unlessAway(async () => "held", true, never)).toBe("held");
  });
});
