import { describe } from "vitest";
import { eventually, ids, type Stage, signal, someInstance, someOwner } from "./stage.ts";

/** What becomes of the records of an owner that dies. */
export function expirySuite(stage: Stage): void {
  const { joined, reader } = stage;

  describe("expiry", () => {
    stage.able("expiry")(`expires everything of an owner that dies${stage.because("expiry")}`, async () => {
      if (!stage.world.openMortal)
        throw new Error("the world cannot let an owner die; give the skip a reason");
      const owner = someOwner();
      const mortal = await stage.world.openMortal();
      const lease = await joined(owner, mortal.backend);
      for (const service of ["dying-a", "dying-b"])
        await lease.register(someInstance(owner, { service }), signal);
      const observation = await reader(["dying-a", "dying-b"]);
      await eventually(
        observation,
        (s) => ids(s, "dying-a")?.length === 1 && ids(s, "dying-b")?.length === 1,
      );
      await mortal.die();
      await eventually(
        observation,
        (s) => ids(s, "dying-a")?.length === 0 && ids(s, "dying-b")?.length === 0,
        (stage.ttl + 5) * 10_000,
      );
      // The name is free again, and what is left of the records is the next owner's to replace.
      const heir = await joined({ ...owner, run: "heir" });
      await heir.register(someInstance(owner, { service: "dying-a" }), signal);
      await eventually(observation, (s) => ids(s, "dying-a")?.length === 1);
      await heir.release(signal);
      await observation.close();
    });
  });
}
