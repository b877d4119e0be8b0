import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend, Lease, Owner, Snapshot } from "../../../src/backends/backend.ts";
import { instancesOf, ownerText } from "../../../src/backends/backend.ts";
import { encodeInstance, type Instance } from "../../../src/instance.ts";
import type { Source } from "../../../src/source.ts";

/** A place of its own in a real store, for one run of the suite. */
export interface World {
  /** Another connection to the same place. */
  open(): Promise<Backend>;
  /** A connection whose process can be made to vanish without a goodbye. Absent: nothing can die alone. */
  openMortal?(): Promise<{ readonly backend: Backend; die(): Promise<void> }>;
  /** Writes a record that names no owner, as another registrator would. */
  plant?(instance: Instance): Promise<void>;
  /** Removes the claim of a node, as an operator does whose host is gone for good. */
  unclaim?(node: string): Promise<void>;
  close(): Promise<void>;
}

/** The suite that every backend runs. `ttl` in seconds is the shortest that the real store grants. */
export interface Contract {
  readonly name: string;
  readonly ttl: number;
  start(): Promise<World>;
  /** What a reader sees of a ready instance, where the layout holds less than the record. */
  readonly shown?: (instance: Instance) => Instance;
  /** Behaviours that this backend cannot have, with the reason in words. */
  readonly skips?: Readonly<Partial<Record<Behaviour, string>>>;
}

/** Behaviours that may be skipped with a reason. */
export type Behaviour = "two connections" | "expiry" | "states";

const signal = new AbortController().signal;
let counter = 0;

/** An owner no other test uses. */
export function someOwner(over: Partial<Owner> = {}): Owner {
  counter += 1;
  return { node: `h${process.pid}-${counter}`, engine: `T5AP:${counter}`, run: `run${counter}`, ...over };
}

/** A complete instance of `owner`. */
export function someInstance(owner: Owner, over: Partial<Instance> = {}): Instance {
  const service = over.service ?? "web";
  return {
    id: `${owner.node}:${service}-1:80`,
    service,
    address: "10.0.0.5",
    port: 32768,
    protocol: "tcp",
    tags: ["blue", "v1.2"],
    meta: { http_host: "web.test", version: "1.2" },
    weight: 1,
    state: "ready",
    node: owner.node,
    container: { id: "9f86d081884c7d65", name: `${service}-1`, image: `${service}:1.2` },
    owner: ownerText(owner),
    ...over,
  };
}

/** Resolves with the value once `accept` holds for it. Rejects after `within` ms, showing the last value. */
export function eventually<T>(source: Source<T>, accept: (value: T) => boolean, within = 10_000): Promise<T> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const now = source.current();
      if (!now.known || !accept(now.value)) return;
      stop();
      resolve(now.value);
    };
    const timer = setTimeout(() => {
      stop();
      const now = source.current();
      reject(new Error(`not seen within ${within} ms; last: ${describeObserved(now)}`));
    }, within);
    const unsubscribe = source.subscribe(look);
    const stop = () => {
      clearTimeout(timer);
      unsubscribe();
    };
    look();
  });
}

function describeObserved(now: unknown): string {
  return JSON.stringify(now, (_key, value) =>
    value instanceof Map ? Object.fromEntries(value) : value instanceof Error ? value.message : value,
  );
}

const ids = (snapshot: Snapshot, service: string) => instancesOf(snapshot, service)?.map((i) => i.id);

/** Runs the contract against a real store. */
export function contractSuite(contract: Contract): void {
  const behaviour = (name: Behaviour) => (contract.skips?.[name] === undefined ? it : it.skip);
  const because = (name: Behaviour) =>
    contract.skips?.[name] === undefined ? "" : ` (skipped: ${contract.skips[name]})`;

  const { shown = (instance: Instance) => instance } = contract;

  describe(`${contract.name} keeps the backend contract`, () => {
    let world: World;
    let backend: Backend;
    beforeAll(async () => {
      world = await contract.start();
      backend = await world.open();
    });
    afterAll(async () => {
      await backend?.close();
      await world?.close();
    });

    const joined = async (owner: Owner, from: Backend = backend): Promise<Lease> => {
      const lease = from.lease(owner, contract.ttl);
      await lease.renew(signal);
      return lease;
    };
    const reader = async (services: readonly string[] | "all", from: Backend = backend) => {
      const observation = from.observe({ services: services === "all" ? "all" : new Set(services) });
      await eventually(observation, (snapshot) =>
        services === "all" ? snapshot.complete : services.every((name) => instancesOf(snapshot, name)),
      );
      return observation;
    };

    it("answers an unknown service with an empty list, not with unknown", async () => {
      const observation = await reader(["no-such-service"]);
      const now = observation.current();
      expect(now.known && instancesOf(now.value, "no-such-service")).toEqual([]);
      await observation.close();
    });

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

    behaviour("states")(
      `shows every state as registered, from the first moment on${because("states")}`,
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
      const stranger = backend.lease({ ...owner, engine: "OTHER:DOCKER", run: "x" }, contract.ttl);
      await expect(stranger.renew(signal)).rejects.toMatchObject({
        code: "NODE_TAKEN",
        message: expect.stringContaining(ownerText(owner)) as string,
      });
      await lease.release(signal);
      await stranger.renew(signal);
      await stranger.release(signal);
    });

    behaviour("two connections")(
      `hands records to the next run of the same owner without a gap${because("two connections")}`,
      async () => {
        const owner = someOwner();
        const [before, after] = [await world.open(), await world.open()];
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
        const next = after.lease({ ...owner, run: "next-run" }, contract.ttl);
        expect((await next.renew(signal)).fresh).toBe(true);
        expect(await next.owned(signal)).toHaveLength(3);
        await before.close();
        // The records now hang on the new lease: they outlive the old one.
        const until = performance.now() + contract.ttl * 1500;
        while (performance.now() < until) {
          await next.renew(signal);
          await new Promise((resolve) => setTimeout(resolve, (contract.ttl * 1000) / 3));
        }
        expect(sizes.filter((size) => size !== 3)).toEqual([]);
        unsubscribe();
        await observation.close();
        await next.release(signal);
        await after.close();
      },
    );

    behaviour("two connections")(
      `makes an earlier run yield to the one that took over${because("two connections")}`,
      async () => {
        const owner = someOwner();
        const [before, after] = [await world.open(), await world.open()];
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

    behaviour("expiry")(`expires everything of an owner that dies${because("expiry")}`, async () => {
      if (!world.openMortal) throw new Error("the world cannot let an owner die; give the skip a reason");
      const owner = someOwner();
      const mortal = await world.openMortal();
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
        (contract.ttl + 5) * 10_000,
      );
      // The name is free again, and what is left of the records is the next owner's to replace.
      const heir = await joined({ ...owner, run: "heir" });
      await heir.register(someInstance(owner, { service: "dying-a" }), signal);
      await eventually(observation, (s) => ids(s, "dying-a")?.length === 1);
      await heir.release(signal);
      await observation.close();
    });

    describe("records without an owner", () => {
      const planted = async (owner: Owner, service: string, skip: (why: string) => never) => {
        if (!world.plant) return skip("its tests cannot write a record without an owner");
        const { owner: _, ...instance } = someInstance(owner, { service });
        await world.plant(instance);
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
        const lease = backend.lease(owner, contract.ttl, {
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
        const lease = backend.lease(owner, contract.ttl, { adopt: (id) => id === instance.id });
        await lease.renew(signal);
        expect(await lease.owned(signal)).toHaveLength(1);
        await lease.release(signal);
        const now = observation.current();
        expect(now.known && ids(now.value, "adopted-kept")).toEqual([instance.id]);
        await observation.close();
      });
    });

    describe("a ttl of 0", () => {
      /** A run that has a record and vanishes. */
      const vanished = async (service: string, ttl: number, skip: (why: string) => never) => {
        const { unclaim } = world;
        if (!unclaim || !world.openMortal) return skip("its tests cannot remove the claim of a node");
        const owner = someOwner();
        const mortal = await world.openMortal();
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
      const outlive = () => new Promise((resolve) => setTimeout(resolve, contract.ttl * 2000));

      it("keeps the records of a dead host, and its node, until somebody removes the claim", async ({
        skip,
      }) => {
        const { owner, instance, observation, sizes, unclaim } = await vanished("lasting", 0, skip);
        await outlive();
        expect([...sizes].filter((size) => size !== 1)).toEqual([]);
        const stranger = { ...owner, engine: "OTHER:DOCKER", run: "x" };
        for (const ttl of [0, contract.ttl]) {
          await expect(backend.lease(stranger, ttl).renew(signal)).rejects.toMatchObject({
            code: "NODE_TAKEN",
            message: expect.stringContaining(ownerText(owner)) as string,
          });
        }
        await unclaim(owner.node);
        const heir = backend.lease(stranger, contract.ttl);
        await heir.renew(signal);
        // What is left of the records is the next owner's to replace.
        await heir.register({ ...instance, port: 1, owner: ownerText(stranger) }, signal);
        await eventually(observation, (s) => instancesOf(s, "lasting")?.[0]?.port === 1);
        await heir.release(signal);
        await observation.close();
      });

      it("hands the records to the next run, which removes them", async ({ skip }) => {
        const { owner, instance, observation, sizes } = await vanished("lasting-next", 0, skip);
        const next = backend.lease({ ...owner, run: "next" }, 0);
        expect(await next.renew(signal)).toEqual({ ttl: 0, fresh: true });
        expect((await next.owned(signal)).map(encodeInstance)).toEqual([encodeInstance(instance)]);
        expect([...sizes].filter((size) => size !== 1)).toEqual([]);
        await next.deregister(instance, signal);
        await eventually(observation, (s) => ids(s, "lasting-next")?.length === 0);
        await next.release(signal);
        // Nothing is left of the claim.
        const stranger = backend.lease({ ...owner, engine: "OTHER:DOCKER" }, contract.ttl);
        await stranger.renew(signal);
        await stranger.release(signal);
        await observation.close();
      });

      it("is taken up and given up by the next run", async ({ skip }) => {
        const { owner, instance, observation, sizes } = await vanished("mixed", contract.ttl, skip);
        const lasting = backend.lease({ ...owner, run: "lasting" }, 0);
        expect(await lasting.renew(signal)).toEqual({ ttl: 0, fresh: true });
        expect(await lasting.owned(signal)).toHaveLength(1);
        await lasting.register(instance, signal);
        await outlive();
        expect([...sizes].filter((size) => size !== 1)).toEqual([]);
        const mortal = await world.openMortal?.();
        const dying = mortal?.backend.lease({ ...owner, run: "dying" }, contract.ttl);
        expect(await dying?.renew(signal)).toEqual({ ttl: contract.ttl, fresh: true });
        expect(await dying?.owned(signal)).toHaveLength(1);
        await dying?.register(instance, signal);
        await mortal?.die();
        const within = (contract.ttl + 5) * 10_000;
        await eventually(observation, (s) => ids(s, "mixed")?.length === 0, within);
        await observation.close();
      });
    });

    it("tells a cancelled call from an outage", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const cancelled = AbortSignal.abort();
      await expect(lease.register(someInstance(owner), cancelled)).rejects.toMatchObject({ code: "ABORTED" });
      await expect(lease.owned(cancelled)).rejects.toMatchObject({ code: "ABORTED" });
      await lease.release(signal);
    });

    it("goes quiet at close", async () => {
      const own = await world.open();
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
