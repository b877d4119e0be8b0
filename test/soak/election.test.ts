import { describe, expect, inject, it } from "vitest";
import { faultsIn, type Happening, termsIn } from "./election-history.ts";
import { runElection } from "./election-run.ts";

const master = (who: string, at: number, token: string): Happening => ({
  ...{ kind: "told", role: "master", who, run: 1, at, token },
});
const slave = (who: string, at: number): Happening => ({ kind: "told", role: "slave", who, run: 1, at });
const still = (who: string, since: number, at: number): Happening => ({
  ...{ kind: "stood still", who, run: 1, since, at },
});
const inOrder = (...all: Happening[]) => all.sort((a, b) => a.at - b.at);

describe("the model of an election", () => {
  it("finds nothing where one follows the other, with growing tokens", () => {
    const history = inOrder(master("a", 0, "1"), slave("a", 10), master("b", 20, "2"), slave("b", 90));
    expect(faultsIn(history)).toEqual([]);
    expect(termsIn(history)).toBe(2);
  });

  it("takes it that one who stands still believes in itself, with the smaller token", () => {
    const history = [master("a", 0, "1"), still("a", 5, 2_000), master("b", 1_000, "2"), slave("a", 2_100)];
    expect(faultsIn(inOrder(...history, slave("b", 5_000)))).toEqual([]);
    const tooLong = inOrder(...history.slice(0, 3), slave("a", 2_900), slave("b", 5_000));
    expect(faultsIn(tooLong)).toEqual([expect.stringContaining("at one time")]);
  });

  it.each([
    ["two at one time", [master("a", 0, "1"), master("b", 50, "2"), slave("a", 60)], "at one time"],
    ["one token of two", [master("a", 0, "1"), slave("a", 5), master("b", 50, "1")], "one token"],
    ["a token that shrank", [master("a", 0, "2"), slave("a", 5), master("b", 50, "1")], "shrank"],
  ])("finds %s", (_, history, fault) => {
    expect(faultsIn(inOrder(...history, slave("c", 100)))).toEqual([expect.stringContaining(fault)]);
  });
});

describe("an election on etcd", () => {
  it("has one master at a time while contenders are killed, stopped and cut off", async () => {
    const { host, port } = inject("etcd");
    const url = (server = { host, port }) => `etcd://${server.host}:${server.port}/election-${process.pid}`;
    const result = await runElection({ url, server: { host, port }, ttl: 2, time: 4_000, seed: 5 });
    expect(result.faults).toEqual([]);
    expect(result.terms).toBeGreaterThan(0);
  });
});
