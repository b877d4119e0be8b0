import { describe, expect, it } from "vitest";
import { instancesOf, type Owner, ownerText } from "../../../src/backends/backend.ts";
import { encodeInstance } from "../../../src/instance.ts";
import { eventually, ids, type Stage, signal, someInstance, someOwner } from "./stage.ts";

/** Records that name no owner. */
export function adoptionSuite(stage: Stage): void {
  const { joined, reader, shown } = stage;

  describe("records without an owner", () => {
    const planted = async (owner: Owner, service: string, skip: (why: string) => never) => {
      if (!stage.world.plant) return skip("its tests cannot write a record without an owner");
      const { owner: _, ...instance } = someInstance(owner, { service });
      await stage.world.plant(instance);
      const observation = await reader([service]);
      await eventually(observation, (s) => ids(s, service)?.length === 1);
      return { instance, observation };
    };

    it("are left alone", async ({ skip }) => {
      const owner = someOwner();
      const { instance, observation } = await planted(owner, "not-adopted", skip);
      const lease = await joined(owner);
      const mine = { ...instance, port: 1, owner: ownerText(owner) };
      await expect(lease.register(mine, signal)).rejects.toMatchObject({ code: "NOT_OWNER" });
      await expect(lease.deregister(mine, signal)).rejects.toMatchObject({ code: "NOT_OWNER" });
      expect(await lease.owned(signal)).toEqual([]);
      await lease.release(signal);
      const now = observation.current();
      expect(now.known && ids(now.value, "not-adopted")).toEqual([instance.id]);
      await observation.close();
    });

    it("count as own where they are adopted, and only there", async ({ skip }) => {
      const owner = someOwner();
      const [taken, gone, left] = [
        await planted(owner, "adopted-taken", skip),
        await planted(owner, "adopted-gone", skip),
        await planted(owner, "adopted-left", skip),
      ];
      const lease = stage.backend.lease(owner, stage.ttl, {
        adopt: (id) => [taken.instance.id, gone.instance.id].includes(id),
      });
      await lease.renew(signal);
      const others = await lease.owned(signal);
      expect(others.map(({ service, owner }) => [service, owner]).sort()).toEqual([
        ["adopted-gone", undefined],
        ["adopted-taken", undefined],
      ]);
      const mine = { ...taken.instance, port: 1, tags: ["mine"], owner: ownerText(owner) };
      await lease.register(mine, signal);
      const snapshot = await eventually(
        taken.observation,
        (s) => instancesOf(s, "adopted-taken")?.[0]?.port === mine.port,
      );
      const seen = instancesOf(snapshot, "adopted-taken")?.map(encodeInstance);
      expect(seen).toEqual([encodeInstance(shown(mine))]);
      await lease.deregister(gone.instance, signal);
      await eventually(gone.observation, (s) => ids(s, "adopted-gone")?.length === 0);
      await expect(lease.deregister(left.instance, signal)).rejects.toMatchObject({ code: "NOT_OWNER" });
      const own = await lease.owned(signal);
      expect(own.map(encodeInstance)).toEqual([encodeInstance(mine)]);
      await lease.release(signal);
      await eventually(taken.observation, (s) => ids(s, "adopted-taken")?.length === 0);
      const now = left.observation.current();
      expect(now.known && ids(now.value, "adopted-left")).toEqual([left.instance.id]);
      for (const { observation } of [taken, gone, left]) await observation.close();
    });

    it("stay, adopted or not, when the lease is released", async ({ skip }) => {
      const owner = someOwner();
      const { instance, observation } = await planted(owner, "adopted-kept", skip);
      const lease = stage.backend.lease(owner, stage.ttl, { adopt: (id) => id === instance.id });
      await lease.renew(signal);
      expect(await lease.owned(signal)).toHaveLength(1);
      await lease.release(signal);
      const now = observation.current();
      expect(now.known && ids(now.value, "adopted-kept")).toEqual([instance.id]);
      await observation.close();
    });
  });
}
