// What every backend does in a layout whose values do not say whose they are.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend, LeaseOptions, Owner } from "../../src/backends/backend.ts";
import { encodeInstance, type Instance } from "../../src/instance.ts";
import { signal } from "./backend-stage.ts";
import { someInstance, someOwner } from "./contract/suite.ts";

/** A place of its own in a real store, and a way around the backend. */
export interface ListedWorld {
  open(): Promise<Backend>;
  keyOf(instance: Instance): string;
  /** Writes a key as somebody else would. */
  put(key: string, text: string): Promise<void>;
  read(key: string): Promise<string | undefined>;
  /** What `nodes/<node>` says. */
  readNode(node: string): Promise<string | undefined>;
}

/** Runs the suite against a real store. */
export function listedSuite(of: {
  readonly name: string;
  readonly ttl: number;
  start(): Promise<ListedWorld>;
}): void {
  describe(`${of.name}: an owner's list`, () => {
    let world: ListedWorld;
    let backend: Backend;
    beforeAll(async () => {
      world = await of.start();
      backend = await world.open();
    });
    afterAll(() => backend.close());

    const joined = async (owner: Owner, options?: LeaseOptions) => {
      const lease = backend.lease(owner, of.ttl, options);
      await lease.renew(signal);
      return lease;
    };
    let port = 20_000;
    const some = (owner: Owner, over: Partial<Instance> = {}) => {
      port += 1;
      return someInstance(owner, { service: `s${port}`, port, ...over });
    };
    const listed = async (owner: Owner) =>
      JSON.parse((await world.readNode(owner.node)) ?? "{}") as { keys: string[]; records: Instance[] };

    it("shows only what is ready, and remembers the rest", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const instance = some(owner);
      const key = world.keyOf(instance);
      for (const state of ["starting", "ready", "draining", "ready", "unhealthy"] as const) {
        await lease.register({ ...instance, state }, signal);
        expect((await world.read(key)) !== undefined, state).toBe(state === "ready");
        expect(await listed(owner)).toMatchObject({
          keys: state === "ready" ? [key] : [],
          records: [{ id: instance.id, state }],
        });
      }
      // What the next run holds is what this one registered, the container and the state with it.
      const next = await joined({ ...owner, run: "next" });
      expect((await next.owned(signal)).map(encodeInstance)).toEqual([
        encodeInstance({ ...instance, state: "unhealthy" }),
      ]);
      await next.deregister(instance, signal);
      expect(await next.owned(signal)).toEqual([]);
      await next.release(signal);
    });

    it("leaves alone what is in nobody's list, and heals when that is gone", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const [instance, beside] = [some(owner), some(owner)];
      const other = someOwner();
      const foreign = { ...some(other), service: instance.service };
      await (await joined(other)).register(foreign, signal);
      const key = world.keyOf(instance);
      const text = (await world.read(world.keyOf(foreign))) ?? "";
      await world.put(key, text);
      const results = await Promise.allSettled([
        lease.register(instance, signal),
        lease.register(beside, signal),
      ]);
      expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
      await expect(lease.register(instance, signal)).rejects.toMatchObject({
        code: "NOT_OWNER",
        message: expect.stringContaining(key) as string,
      });
      expect(await world.read(key)).toBe(text);
      expect((await lease.owned(signal)).map(({ id }) => id)).toEqual([beside.id]);
      await lease.release(signal);
      expect(await world.read(key)).toBe(text);
    });

    it("claims no listed key that is absent or that somebody else has written", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const [kept, overwritten] = [some(owner), some(owner)];
      await lease.register(kept, signal);
      await lease.register(overwritten, signal);
      const text = (await world.read(world.keyOf(kept))) ?? "";
      await world.put(world.keyOf(overwritten), text);
      const next = await joined({ ...owner, run: "next" });
      expect((await next.owned(signal)).map(({ id, port }) => [id, port])).toEqual([[kept.id, kept.port]]);
      await expect(next.register(overwritten, signal)).rejects.toMatchObject({ code: "NOT_OWNER" });
      await next.release(signal);
      expect(await world.read(world.keyOf(kept))).toBeUndefined();
      expect(await world.read(world.keyOf(overwritten))).toBe(text);
    });

    it("goes on where it does not know whether its last write happened", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const instances = Array.from({ length: 40 }, () => some(owner));
      // Cancelled on the way: some may have been written.
      const given = new AbortController();
      const begun = instances.map((instance) => lease.register(instance, given.signal));
      given.abort();
      await Promise.allSettled(begun);
      await Promise.all(instances.map((instance) => lease.register(instance, signal)));
      const owned = (await lease.owned(signal)).map(encodeInstance).sort();
      expect(owned).toEqual(instances.map(encodeInstance).sort());
      expect((await listed(owner)).keys).toEqual(instances.map(world.keyOf).sort());
      await lease.release(signal);
      for (const instance of instances) expect(await world.read(world.keyOf(instance))).toBeUndefined();
    });

    it("removes all that it listed for ever, though others write there meanwhile", async () => {
      const owner = someOwner();
      const lease = backend.lease(owner, 0);
      await lease.renew(signal);
      const instances = Array.from({ length: 250 }, () => some(owner));
      await Promise.all(instances.map((instance) => lease.register(instance, signal)));
      const keys = instances.map(world.keyOf);
      // They were listed in this order, and are removed in parts.
      const taken = keys.slice(-10);
      const text = (await world.read(keys[0] ?? "")) ?? "";
      const [released] = await Promise.allSettled([
        (async () => {
          while ((await lease.release(signal).catch(() => "again")) === "again");
        })(),
        (async () => {
          for (const key of taken) await world.put(key, text);
        })(),
      ]);
      expect(released.status).toBe("fulfilled");
      const left = await Promise.all(
        keys.map(async (key) => ((await world.read(key)) === undefined ? [] : [key])),
      );
      expect(left.flat().filter((key) => !taken.includes(key))).toEqual([]);
      expect(await world.readNode(owner.node)).toBeUndefined();
    });

    it("follows an instance whose address changes, and writes it once", async () => {
      const owner = someOwner();
      const lease = await joined(owner);
      const instance = some(owner);
      await lease.register(instance, signal);
      const moved = { ...instance, address: "10.0.0.6" };
      await lease.register(moved, signal);
      if (world.keyOf(moved) !== world.keyOf(instance)) {
        expect(await world.read(world.keyOf(instance))).toBeUndefined();
      }
      expect(await world.read(world.keyOf(moved))).toContain("10.0.0.6");
      expect((await lease.owned(signal)).map(encodeInstance)).toEqual([encodeInstance(moved)]);
      await lease.release(signal);
    });
  });
}
