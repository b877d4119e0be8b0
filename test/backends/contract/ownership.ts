import { describe, expect, it } from "vitest";
import { instancesOf, ownerText } from "../../../src/backends/backend.ts";
import { encodeInstance } from "../../../src/instance.ts";
import { eventually, ids, type Stage, signal, someInstance, someOwner } from "./stage.ts";

/** Whose a record and a node are. */
export function ownershipSuite(stage: Stage): void {
  const { joined, reader, shown } = stage;

  describe("ownership", () => {
    it("lists what an owner holds, and nothing of others", async () => {
      const [one, other] = [someOwner(), someOwner()];
      const [leaseOne, leaseOther] = [await joined(one), await joined(other)];
      const mine = ["owned-a", "owned-b"].map((service) => someInstance(one, { service }));
      for (const instance of mine) await leaseOne.register(instance, signal);
      await leaseOther.register(someInstance(other, { service: "owned-a" }), signal);
      const owned = [...(await leaseOne.owned(signal))].map(encodeInstance).sort();
      expect(owned).toEqual(mine.map(encodeInstance).sort());
      await leaseOne.release(signal);
      expect(await leaseOne.owned(signal).catch(() => [])).toEqual([]);
      expect(await leaseOther.owned(signal)).toHaveLength(1);
      await leaseOther.release(signal);
    });

    it("leaves another owner's record alone", async () => {
      const [one, other] = [someOwner(), someOwner()];
      const [leaseOne, leaseOther] = [await joined(one), await joined(other)];
      const theirs = someInstance(one, { service: "foreign", id: "shared-id" });
      await leaseOne.register(theirs, signal);
      const mine = { ...theirs, port: 1, node: other.node, owner: ownerText(other) };
      await expect(leaseOther.register(mine, signal)).rejects.toMatchObject({ code: "NOT_OWNER" });
      await expect(leaseOther.deregister(theirs, signal)).rejects.toMatchObject({ code: "NOT_OWNER" });
      const observation = await reader(["foreign"]);
      const snapshot = await eventually(observation, (s) => ids(s, "foreign")?.length === 1);
      expect(instancesOf(snapshot, "foreign")?.map(encodeInstance)).toEqual([encodeInstance(shown(theirs))]);
      await observation.close();
      await leaseOne.release(signal);
      await leaseOther.release(signal);
    });

    it("refuses another engine under a node name whose lease lives", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const stranger = stage.backend.lease({ ...owner, engine: "OTHER:DOCKER", run: "x" }, stage.ttl);
      await expect(stranger.renew(signal)).rejects.toMatchObject({
        code: "NODE_TAKEN",
        message: expect.stringContaining(ownerText(owner)) as string,
      });
      await lease.release(signal);
      await stranger.renew(signal);
      await stranger.release(signal);
    });
  });
}
