import { expect, it } from "vitest";
import { type Instance, refKey } from "../../src/instance.ts";
import { differences } from "../../src/registrator/differences.ts";
import { plan } from "../../src/registrator/plan.ts";
import { someInstance, someOwner } from "../backends/contract/suite.ts";

const owner = someOwner({ node: "h" });
const one = (id: string, over: Partial<Instance> = {}) =>
  someInstance(owner, { id, service: "web", address: "10.0.0.5", port: 80, state: "ready", ...over });
const lines = (desired: readonly Instance[], held: readonly Instance[]) => {
  const actual = new Map(held.map((entry) => [refKey(entry), entry]));
  return differences(
    plan(desired, actual, () => "gone"),
    actual,
  );
};

it("shows what is new, what would go, and the fields that would change", () => {
  const { role, ...plain } = one("c");
  expect(
    lines(
      [one("b"), one("c", { port: 81, tags: ["x"], role: "master" }), one("d", { address: "::1" })],
      [one("a"), one("b"), plain],
    ),
  ).toEqual([
    "- a web 10.0.0.5:80 ready",
    `~ c web port: 80 -> 81, tags: ${JSON.stringify(plain.tags)} -> ["x"], role: nothing -> "master"`,
    "+ d web [::1]:80 ready",
  ]);
});

it("shows nothing where nothing would change", () => {
  expect(lines([one("a")], [one("a")])).toEqual([]);
});
