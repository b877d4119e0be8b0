import { describe, expect, it } from "vitest";
import { instancesOf } from "../../../src/backends/backend.ts";
import type { Instance } from "../../../src/instance.ts";
import { eventually, ids, type Stage, signal, someInstance, someOwner } from "./stage.ts";

/** What a reader sees. */
export function observationSuite(stage: Stage): void {
  const { joined, reader } = stage;

  describe("observation", () => {
    it("answers an unknown service with an empty list, not with unknown", async () => {
      const observation = await reader(["no-such-service"]);
      const now = observation.current();
      expect(now.known && instancesOf(now.value, "no-such-service")).toEqual([]);
      await observation.close();
    });

    it("observes completely: everything at once, sorted, and unchanged parts stay the same objects", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const [b, a, c] = ["b", "a", "c"].map((letter) =>
        someInstance(owner, {
          service: `many-${letter === "c" ? "two" : "one"}`,
          id: `${owner.node}:${letter}:1`,
        }),
      ) as [Instance, Instance, Instance];
      for (const instance of [b, a, c]) await lease.register(instance, signal);
      const observation = await reader("all");
      const first = await eventually(
        observation,
        (s) => ids(s, "many-one")?.length === 2 && !!ids(s, "many-two")?.length,
      );
      expect(ids(first, "many-one")).toEqual([a.id, b.id]);
      const names = [...first.services.keys()];
      expect(names).toEqual([...names].sort());
      await lease.register({ ...c, port: 4000 }, signal);
      const second = await eventually(observation, (s) => instancesOf(s, "many-two")?.[0]?.port === 4000);
      expect(second).not.toBe(first);
      expect(instancesOf(second, "many-one")).toBe(instancesOf(first, "many-one"));
      observation.refresh();
      await lease.register({ ...c, port: 4001 }, signal);
      const third = await eventually(observation, (s) => instancesOf(s, "many-two")?.[0]?.port === 4001);
      expect(instancesOf(third, "many-one")).toBe(instancesOf(first, "many-one"));
      await observation.close();
      await lease.release(signal);
    });

    it("serves two observers with different interests", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const [left, right] = [await reader(["two-left"]), await reader(["two-right"])];
      await lease.register(someInstance(owner, { service: "two-left" }), signal);
      await lease.register(someInstance(owner, { service: "two-right" }), signal);
      await eventually(left, (s) => ids(s, "two-left")?.length === 1);
      const seen = await eventually(right, (s) => ids(s, "two-right")?.length === 1);
      expect(instancesOf(seen, "two-left"), "nobody asked for it: unknown, not empty").toBeUndefined();
      right.want({ services: new Set(["two-left", "two-right"]) });
      await eventually(right, (s) => ids(s, "two-left")?.length === 1 && ids(s, "two-right")?.length === 1);
      await left.close();
      await lease.deregister(someInstance(owner, { service: "two-left" }), signal);
      await eventually(right, (s) => ids(s, "two-left")?.length === 0);
      await right.close();
      await lease.release(signal);
    });
  });
}
