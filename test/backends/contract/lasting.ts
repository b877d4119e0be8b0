import { describe, expect, it } from "vitest";
import { instancesOf, ownerText } from "../../../src/backends/backend.ts";
import { encodeInstance, type Instance } from "../../../src/instance.ts";
import { eventually, ids, type Stage, signal, someInstance, someOwner } from "./stage.ts";

/** A time to live of 0. */
export function lastingSuite(stage: Stage): void {
  const { reader } = stage;

  describe.concurrent("a ttl of 0", () => {
    /** A run that has a record and vanishes. */
    const vanished = async (service: string, ttl: number, skip: (why: string) => never) => {
      const { unclaim } = stage.world;
      if (!unclaim || !stage.world.openMortal) return skip("its tests cannot remove the claim of a node");
      const owner = someOwner();
      const mortal = await stage.world.openMortal();
      const lease = mortal.backend.lease(owner, ttl);
      expect(await lease.renew(signal)).toEqual({ ttl, fresh: true });
      expect(await lease.renew(signal)).toEqual({ ttl, fresh: false });
      const instance = someInstance(owner, { service });
      await lease.register(instance, signal);
      const observation = await reader([service]);
      await eventually(observation, (s) => ids(s, service)?.length === 1);
      await mortal.die();
      const sizes = new Set<number | undefined>();
      observation.subscribe(() => {
        const now = observation.current();
        if (now.known) sizes.add(ids(now.value, service)?.length);
      });
      return { owner, instance, observation, sizes, unclaim };
    };
    /** Long enough for whatever hangs on a time to live to be gone. */
    const outlive = () => new Promise((resolve) => setTimeout(resolve, stage.ttl * 2000));

    it("keeps the records of a dead host, and its node, until somebody removes the claim", async ({
      skip,
    }) => {
      const { owner, instance, observation, sizes, unclaim } = await vanished("lasting", 0, skip);
      await outlive();
      expect([...sizes].filter((size) => size !== 1)).toEqual([]);
      const stranger = { ...owner, engine: "OTHER:DOCKER", run: "x" };
      for (const ttl of [0, stage.ttl]) {
        await expect(stage.backend.lease(stranger, ttl).renew(signal)).rejects.toMatchObject({
          code: "NODE_TAKEN",
          message: expect.stringContaining(ownerText(owner)) as string,
        });
      }
      await unclaim(owner.node);
      const heir = stage.backend.lease(stranger, stage.ttl);
      await heir.renew(signal);
      // What is left of the records is the next owner's to replace.
      await heir.register({ ...instance, port: 1, owner: ownerText(stranger) }, signal);
      await eventually(observation, (s) => instancesOf(s, "lasting")?.[0]?.port === 1);
      await heir.release(signal);
      await observation.close();
    });

    it("is taken up and given up by the next run", async ({ skip }) => {
      const { owner, instance, observation, sizes } = await vanished("mixed", stage.ttl, skip);
      const lasting = stage.backend.lease({ ...owner, run: "lasting" }, 0);
      expect(await lasting.renew(signal)).toEqual({ ttl: 0, fresh: true });
      expect(await lasting.owned(signal)).toHaveLength(1);
      await lasting.register(instance, signal);
      await outlive();
      expect([...sizes].filter((size) => size !== 1)).toEqual([]);
      const mortal = await stage.world.openMortal?.();
      const dying = mortal?.backend.lease({ ...owner, run: "dying" }, stage.ttl);
      expect(await dying?.renew(signal)).toEqual({ ttl: stage.ttl, fresh: true });
      expect(await dying?.owned(signal)).toHaveLength(1);
      await dying?.register(instance, signal);
      await mortal?.die();
      const within = (stage.ttl + 5) * 10_000;
      await eventually(observation, (s) => ids(s, "mixed")?.length === 0, within);
      await observation.close();
    });

    it("hands the records to the next run, which removes them", async ({ skip }) => {
      const { owner, instance, observation, sizes } = await vanished("lasting-next", 0, skip);
      const next = stage.backend.lease({ ...owner, run: "next" }, 0);
      expect(await next.renew(signal)).toEqual({ ttl: 0, fresh: true });
      expect((await next.owned(signal)).map(encodeInstance)).toEqual([encodeInstance(instance)]);
      expect([...sizes].filter((size) => size !== 1)).toEqual([]);
      await next.deregister(instance, signal);
      await eventually(observation, (s) => ids(s, "lasting-next")?.length === 0);
      await next.release(signal);
      // Nothing is left of the claim.
      const stranger = stage.backend.lease({ ...owner, engine: "OTHER:DOCKER" }, stage.ttl);
      await stranger.renew(signal);
      await stranger.release(signal);
      await observation.close();
    });

    it("neither writes nor gives up anything once another engine holds the node", async ({ skip }) => {
      const { unclaim } = stage.world;
      if (!unclaim) return skip("its tests cannot remove the claim of a node");
      const [owner, other] = [someOwner(), someOwner()];
      const lease = stage.backend.lease(owner, 0);
      await lease.renew(signal);
      const [record, late] = ["a", "b"].map((id) => someInstance(owner, { service: "outlived", id })) as [
        Instance,
        Instance,
      ];
      await lease.register(record, signal);
      await unclaim(owner.node);
      const stranger = { ...other, node: owner.node };
      const next = stage.backend.lease(stranger, 0);
      await next.renew(signal);
      const theirs = { ...record, port: 7, owner: ownerText(stranger) };
      await next.register(theirs, signal);
      const lost = { code: expect.stringMatching(/^(LEASE_LOST|NODE_TAKEN)$/) as string };
      await expect(lease.register(late, signal)).rejects.toMatchObject(lost);
      await expect(lease.register(record, signal)).rejects.toMatchObject(lost);
      await expect(lease.renew(signal)).rejects.toMatchObject({ code: "NODE_TAKEN" });
      await lease.release(signal).catch((error: unknown) => expect(error).toMatchObject(lost));
      const held = (await next.owned(signal)).map(({ port }) => port);
      expect(held).toEqual([7]);
      expect((await next.renew(signal)).fresh).toBe(false);
      await expect(stage.backend.lease(owner, 0).renew(signal)).rejects.toMatchObject({ code: "NODE_TAKEN" });
      await next.release(signal);
    });

    it("leaves nothing of a dead engine to the next one", async ({ skip }) => {
      const { unclaim } = stage.world;
      if (!unclaim) return skip("its tests cannot remove the claim of a node");
      const owner = someOwner();
      const lease = stage.backend.lease(owner, 0);
      await lease.renew(signal);
      await lease.register(someInstance(owner, { service: "leftover" }), signal);
      const observation = await reader(["leftover"]);
      await eventually(observation, (s) => ids(s, "leftover")?.length === 1);
      await unclaim(owner.node);
      const next = stage.backend.lease({ ...owner, engine: "NEW:DISK" }, 0);
      await next.renew(signal);
      await eventually(observation, (s) => ids(s, "leftover")?.length === 0);
      expect(await next.owned(signal)).toEqual([]);
      await next.release(signal);
      await observation.close();
    });
  });
}
