import { describe, expect, it } from "vitest";
import { instancesOf } from "../../../src/backends/backend.ts";
import { encodeInstance } from "../../../src/instance.ts";
import { eventually, ids, type Stage, signal, someInstance, someOwner } from "./stage.ts";

/** What becomes of a record that is registered, again, and deregistered. */
export function registrationSuite(stage: Stage): void {
  const { joined, reader, shown } = stage;

  describe("registration", () => {
    it("shows a registered instance as it was registered", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const instance = someInstance(owner, { service: "shown", role: "master", tags: ["blue", "master"] });
      expect((await lease.register(instance, signal)).leftOut).toEqual([]);
      const observation = await reader(["shown"]);
      const snapshot = await eventually(observation, (s) => ids(s, "shown")?.length === 1);
      expect(instancesOf(snapshot, "shown")?.map(encodeInstance)).toEqual([encodeInstance(shown(instance))]);
      await observation.close();
      await lease.release(signal);
    });

    stage.able("states")(
      `shows every state as registered, from the first moment on${stage.because("states")}`,
      async () => {
        const owner = someOwner();
        const lease = await joined(owner);
        const observation = await reader(["states"]);
        const seen = new Set<string>();
        const unsubscribe = observation.subscribe(() => {
          const now = observation.current();
          if (now.known) for (const i of instancesOf(now.value, "states") ?? []) seen.add(i.state);
        });
        for (const state of ["starting", "unhealthy", "draining", "paused"] as const) {
          const instance = someInstance(owner, { service: "states", state });
          await lease.register(instance, signal);
          await eventually(observation, (s) => instancesOf(s, "states")?.[0]?.state === state);
          await lease.deregister(instance, signal);
          await eventually(observation, (s) => instancesOf(s, "states")?.length === 0);
        }
        expect([...seen].sort()).toEqual(["draining", "paused", "starting", "unhealthy"]);
        unsubscribe();
        const instance = someInstance(owner, { service: "states", state: "ready" });
        for (const state of ["ready", "draining", "ready", "unhealthy", "ready"] as const) {
          await lease.register({ ...instance, state }, signal);
          await eventually(observation, (s) => instancesOf(s, "states")?.[0]?.state === state);
        }
        await observation.close();
        await lease.release(signal);
      },
    );

    it("takes names, tags and meta with any character", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const service = "a b/c.d%ü";
      const instance = someInstance(owner, {
        service,
        id: `${owner.node}:/we ird/%2F:80`,
        address: "fd00::5",
        tags: ["with space", "ü", 'quo"te'],
        meta: { path: "/a b", "ünï-code": "☃" },
      });
      const { leftOut } = await lease.register(instance, signal);
      const observation = await reader([service]);
      const snapshot = await eventually(observation, (s) => ids(s, service)?.length === 1);
      const back = instancesOf(snapshot, service)?.[0];
      expect({ ...back, meta: {} }).toEqual({ ...shown(instance), meta: {} });
      const lost = Object.keys(shown(instance).meta).filter((key) => back?.meta[key] !== instance.meta[key]);
      expect(leftOut.length, `left out and reported: ${leftOut}`).toBe(lost.length);
      await observation.close();
      await lease.release(signal);
    });

    it("registering again replaces, and an equal record is no change", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const instance = someInstance(owner, { service: "again" });
      await lease.register(instance, signal);
      const observation = await reader(["again"]);
      const first = await eventually(observation, (s) => ids(s, "again")?.length === 1);
      await lease.register(instance, signal);
      await lease.register({ ...instance, service: "again", tags: ["green"], port: 32769 }, signal);
      const second = await eventually(observation, (s) => instancesOf(s, "again")?.[0]?.port === 32769);
      expect(instancesOf(second, "again")?.[0]?.tags).toEqual(shown({ ...instance, tags: ["green"] }).tags);
      expect(instancesOf(first, "again")?.[0]?.port).toBe(32768);
      await observation.close();
      await lease.release(signal);
    });

    it("deregisters, and an absent record is fine", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const instance = someInstance(owner, { service: "leaving" });
      await lease.register(instance, signal);
      const observation = await reader(["leaving"]);
      await eventually(observation, (s) => ids(s, "leaving")?.length === 1);
      await lease.deregister(instance, signal);
      await eventually(observation, (s) => ids(s, "leaving")?.length === 0);
      await lease.deregister(instance, signal);
      await lease.deregister({ service: "never", id: "was-there" }, signal);
      await observation.close();
      await lease.release(signal);
    });
  });
}
