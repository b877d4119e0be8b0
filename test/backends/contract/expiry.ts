import { describe, expect } from "vitest";
import { tokenOf } from "./locks.ts";
import { eventually, ids, type Stage, signal, someInstance, someOwner } from "./stage.ts";

/** What becomes of what a process held that dies: records, locks and notes. */
export function expirySuite(stage: Stage): void {
  const { joined, reader } = stage;
  const because = stage.because("expiry");
  const whenItDies = stage.able("expiry");
  const openMortal = () => {
    if (stage.world.openMortal) return stage.world.openMortal();
    throw new Error("the world cannot let an owner die; give the skip a reason");
  };
  /** Milliseconds: ten times what an expiry may take. */
  const within = (stage.ttl + 5) * 10_000;
  const name = `expiry-${process.pid}`;

  describe.concurrent("expiry", () => {
    whenItDies(`expires everything of an owner that dies${because}`, async () => {
      const owner = someOwner();
      const mortal = await openMortal();
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
        within,
      );
      // The name is free again, and what is left of the records is the next owner's to replace.
      const heir = await joined({ ...owner, run: "heir" });
      await heir.register(someInstance(owner, { service: "dying-a" }), signal);
      await eventually(observation, (s) => ids(s, "dying-a")?.length === 1);
      await heir.release(signal);
      await observation.close();
    });

    whenItDies(
      `gives the lock of a dead holder to the next contender, and not before${because}`,
      async ({ skip }) => {
        const mortal = await openMortal();
        const dying = mortal.backend.lock?.(name, "dying", stage.ttl) ?? skip("it has no locks");
        const next = stage.backend.lock?.(name, "next", stage.ttl) ?? skip("it has no locks");
        const token = tokenOf(await dying.renew(signal));
        const until = performance.now() + stage.ttl * 1500;
        while (performance.now() < until) {
          await dying.renew(signal);
          expect(await next.renew(signal)).toEqual({ held: false, holder: "dying" });
          await new Promise((resolve) => setTimeout(resolve, (stage.ttl * 1000) / 4));
        }
        const watch = next.watch();
        await eventually(watch, (holder) => holder === "dying");
        await mortal.die();
        const end = performance.now() + within;
        let now = await next.renew(signal);
        while (!now.held && performance.now() < end) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          now = await next.renew(signal);
        }
        expect(tokenOf(now)).toBeGreaterThan(token);
        await eventually(watch, (holder) => holder === "next");
        await watch.close();
        await next.release(signal);
      },
    );

    whenItDies(
      `takes away the notes that a dead process held, not before, and no others${because}`,
      async ({ skip }) => {
        const mortal = await openMortal();
        const dead = mortal.backend.notes?.("templaters") ?? skip("it keeps no notes");
        const notes = stage.backend.notes?.("templaters") ?? skip("it keeps no notes");
        const kept = `${name}-kept`;
        await notes.put(kept, "kept", signal);
        const dying = dead.hold(name, stage.ttl);
        const { ttl } = await dying.renew("here", signal);
        const watch = notes.watch();
        await eventually(watch, (all) => all.get(name) === "here");
        const last = performance.now();
        await dying.renew("here", signal);
        await mortal.die();
        await eventually(watch, (all) => !all.has(name), within);
        expect(performance.now() - last).toBeGreaterThan(ttl * 900);
        expect((await notes.list(signal)).get(kept)).toBe("kept");
        const heir = notes.hold(name, stage.ttl);
        expect((await heir.renew("back", signal)).fresh).toBe(true);
        await eventually(watch, (all) => all.get(name) === "back");
        await watch.close();
        await heir.release(signal);
        await notes.remove(kept, signal);
      },
    );
  });
}
