import { expect, it } from "vitest";
import { type Instance, refKey } from "../../src/instance.ts";
import { plan } from "../../src/registrator/plan.ts";
import fc from "../property.ts";

const instance = fc
  .record({
    id: fc.constantFrom("a", "b", "c"),
    service: fc.constantFrom("x", "y"),
    port: fc.integer({ min: 1, max: 3 }),
  })
  .map(
    (some): Instance => ({
      ...some,
      address: "10.0.0.1",
      protocol: "tcp",
      tags: [],
      meta: {},
      weight: 1,
      state: "ready",
      node: "n",
    }),
  );
const world = fc.uniqueArray(instance, { selector: refKey });
const gone = () => "gone" as const;
const held = (list: readonly Instance[]) => new Map(list.map((entry) => [refKey(entry), entry]));

it("makes any actual equal to any desired, and plans nothing when they are equal", () => {
  fc.assert(
    fc.property(world, world, (desired, before) => {
      const actual = held(before);
      const due = plan(desired, actual, gone);
      for (const ref of due.deregister) actual.delete(refKey(ref));
      for (const entry of due.register) actual.set(refKey(entry), entry);
      const sorted = (list: Iterable<Instance>) => [...list].sort((a, b) => (refKey(a) < refKey(b) ? -1 : 1));
      expect(sorted(actual.values())).toEqual(sorted(desired));
      expect(plan(desired, actual, gone)).toEqual({ deregister: [], register: [], unknown: new Set() });
    }),
  );
});
