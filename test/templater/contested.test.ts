import { describe, expect, it } from "vitest";
import type { Instance } from "../../src/instance.ts";
import type { Log } from "../../src/log.ts";
import { createContested } from "../../src/templater/contested.ts";
import { someInstance, someOwner } from "../backends/contract/suite.ts";

const owner = someOwner();
const claim = { by: "redis" };
const db = (id: string, over: Partial<Instance> = {}) =>
  someInstance(owner, { id, service: "db", state: "ready", role: "master", claim, ...over });

describe("a contested service", () => {
  const lines: string[] = [];
  const log = new Proxy({} as Log, {
    get: (_, level) => (fields: { service: string }) => lines.push(`${String(level)} ${fields.service}`),
  });
  const contested = createContested(log);
  const see = (...instances: Instance[]) => {
    const services = new Map([["db", instances]]);
    contested.see({ known: true, value: { services, complete: false, invalid: new Map() } });
    return contested.status();
  };

  it("is told once, with who claims to be its master, and once when that is over", () => {
    expect(see(db("b"))).toEqual([]);
    const both = [{ code: "TWO_MASTERS", service: "db", ids: ["a", "b"] }];
    expect(see(db("b"), db("a"))).toEqual(both);
    expect(see(db("a"), db("b"), db("c", { role: "slave" }))).toEqual(both);
    contested.see({ known: false });
    expect(contested.status()).toEqual(both);
    expect(see(db("a"))).toEqual([]);
    expect(lines).toEqual(["error db", "info db"]);
  });

  it("has several who are ready and whose claims are judged by a lock or a probe", () => {
    const { claim: _, ...byLabel } = db("b");
    expect(see(db("a"), byLabel)).toEqual([]);
    expect(see(db("a"), db("b", { state: "draining" }))).toEqual([]);
  });
});
