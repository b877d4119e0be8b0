import { describe, expect, it } from "vitest";
import { eventually, ids, type Stage, signal, someInstance, someOwner } from "./stage.ts";

/** What is cancelled, and what is closed. */
export function endingSuite(stage: Stage): void {
  const { joined, reader } = stage;

  describe("ending", () => {
    it("tells a cancelled call from an outage", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const cancelled = AbortSignal.abort();
      await expect(lease.register(someInstance(owner), cancelled)).rejects.toMatchObject({ code: "ABORTED" });
      await expect(lease.owned(cancelled)).rejects.toMatchObject({ code: "ABORTED" });
      await lease.release(signal);
    });

    it("goes quiet at close", async () => {
      const own = await stage.world.open();
      const owner = someOwner();
      const lease = await joined(owner);
      const observation = await reader(["closing"], own);
      let calls = 0;
      observation.subscribe(() => {
        calls += 1;
      });
      await observation.close();
      await own.close();
      calls = 0;
      await lease.register(someInstance(owner, { service: "closing" }), signal);
      const control = await reader(["closing"]);
      await eventually(control, (s) => ids(s, "closing")?.length === 1);
      expect(calls).toBe(0);
      await control.close();
      await lease.release(signal);
    });
  });
}
