import { describe, expect, it } from "vitest";
import { instancesOf, type Lease, ownerText } from "../../../src/backends/backend.ts";
import { encodeInstance, type Instance } from "../../../src/instance.ts";
import { eventually, ids, type Stage, signal, someInstance, someOwner } from "./stage.ts";

/** What the next run of an owner finds. */
export function handoverSuite(stage: Stage): void {
  const { joined, reader } = stage;

  describe.concurrent("handover", () => {
    /** Renews a lease for longer than one lasts that nobody renews. */
    const outlast = async (lease: Lease) => {
      const until = performance.now() + stage.ttl * 1500;
      while (performance.now() < until) {
        await lease.renew(signal);
        await new Promise((resolve) => setTimeout(resolve, (stage.ttl * 1000) / 3));
      }
    };

    stage.able("two connections")(
      `hands records to the next run of the same owner without a gap${stage.because("two connections")}`,
      async () => {
        const owner = someOwner();
        const [before, after] = [await stage.world.open(), await stage.world.open()];
        const old = await joined(owner, before);
        const instances = ["a", "b", "c"].map((letter) =>
          someInstance(owner, { service: "handover", id: `${owner.node}:${letter}:80` }),
        );
        for (const instance of instances) await old.register(instance, signal);
        const observation = await reader(["handover"]);
        await eventually(observation, (s) => ids(s, "handover")?.length === 3);
        const sizes: number[] = [];
        const unsubscribe = observation.subscribe(() => {
          const now = observation.current();
          if (now.known) sizes.push(instancesOf(now.value, "handover")?.length ?? -1);
        });
        const next = after.lease({ ...owner, run: "next-run" }, stage.ttl);
        expect((await next.renew(signal)).fresh).toBe(true);
        expect(await next.owned(signal)).toHaveLength(3);
        await before.close();
        // The records now hang on the new lease: they outlive the old one.
        await outlast(next);
        expect(sizes.filter((size) => size !== 3)).toEqual([]);
        unsubscribe();
        await observation.close();
        await next.release(signal);
        await after.close();
      },
    );

    it("gives the node and the records of an earlier owner to its heir, without a gap", async () => {
      const owner = someOwner();
      const heir = { ...owner, engine: "AFTER:UPGRADE" };
      const old = await joined(owner);
      const [kept, gone, left] = ["kept", "gone", "left"].map((letter) =>
        someInstance(owner, { service: "heir", id: `${owner.node}:${letter}:80` }),
      ) as [Instance, Instance, Instance];
      for (const instance of [kept, gone, left]) await old.register(instance, signal);
      const observation = await reader(["heir"]);
      await eventually(observation, (s) => ids(s, "heir")?.length === 3);
      const sizes: (number | undefined)[] = [];
      const unsubscribe = observation.subscribe(() => {
        const now = observation.current();
        sizes.push(now.known ? ids(now.value, "heir")?.length : undefined);
      });

      const next = await joined(heir, stage.backend, { inherits: ownerText(owner) });
      expect((await next.owned(signal)).map(({ id }) => id).sort()).toEqual([gone.id, kept.id, left.id]);
      // The earlier lease has nothing left to give up.
      await old
        .release(signal)
        .catch((error: unknown) => expect(error).toMatchObject({ code: "LEASE_LOST" }));
      const mine = { ...kept, owner: ownerText(heir), tags: ["heir"] };
      await next.register(mine, signal);
      await next.register({ ...left, owner: ownerText(heir) }, signal);
      // They hang on nothing of the earlier owner.
      await outlast(next);
      expect(sizes.filter((size) => size !== 3)).toEqual([]);
      unsubscribe();

      await next.deregister(gone, signal);
      await eventually(observation, (s) => ids(s, "heir")?.length === 2);
      const owned = (await next.owned(signal)).map(encodeInstance).sort();
      expect(owned).toEqual([mine, { ...left, owner: ownerText(heir) }].map(encodeInstance).sort());
      // The earlier Docker is another one from now on.
      const back = stage.backend.lease({ ...owner, run: "back" }, stage.ttl);
      await expect(back.renew(signal)).rejects.toMatchObject({ code: "NODE_TAKEN" });
      await next.release(signal);
      await eventually(observation, (s) => ids(s, "heir")?.length === 0);
      await observation.close();
    });

    stage.able("two connections")(
      `makes an earlier run yield to the one that took over${stage.because("two connections")}`,
      async () => {
        const owner = someOwner();
        const [before, after] = [await stage.world.open(), await stage.world.open()];
        const old = await joined(owner, before);
        const next = await joined({ ...owner, run: "newer-run" }, after);
        const fails = async () => {
          await old.renew(signal);
          await old.owned(signal);
        };
        await expect(fails()).rejects.toMatchObject({ code: "SUPERSEDED" });
        await next.renew(signal);
        await next.release(signal);
        await before.close();
        await after.close();
      },
    );

    it("gives an heir nothing of another owner", async () => {
      const [owner, other] = [someOwner(), someOwner()];
      const [lease, strange] = [await joined(owner), await joined(other)];
      const foreign = someInstance(other, { service: "not-inherited" });
      await strange.register(foreign, signal);
      const heir = stage.backend.lease({ ...owner, engine: "HEIR" }, stage.ttl, {
        inherits: ownerText(other),
      });
      await expect(heir.renew(signal)).rejects.toMatchObject({ code: "NODE_TAKEN" });
      await lease.release(signal);
      await heir.renew(signal);
      expect(await heir.owned(signal)).toEqual([]);
      await heir.release(signal);
      expect((await strange.owned(signal)).map(({ id }) => id)).toEqual([foreign.id]);
      await strange.release(signal);
    });
  });
}
