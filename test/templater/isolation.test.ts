import { describe, expect, it } from "vitest";
import { PortolanError } from "../../src/errors.ts";
import type { Turn } from "../../src/loop.ts";
import { createIsolation, type Refusal } from "../../src/templater/isolation.ts";
import { createQuarantine } from "../../src/templater/quarantine.ts";
import { instance, snapshotOf } from "./golden/world.ts";
import { calm } from "./workspace.ts";

const worldOf = (port: number) =>
  snapshotOf(["a", "b", "c"].map((service) => instance({ service, id: service, port })));
const [before, now] = [worldOf(1), worldOf(2)];
const error = new PortolanError(
  "CHECK_FAILED",
  "f stays as it is: its check `c` exited with code 1:\n[NOTICE] c 1.0\n[ALERT] no t0k3n\n",
);

/** An isolation, and a refusal of which it asks a check that refuses the new instances of `bad`. */
function isolating(bad: readonly string[], changed: readonly string[] = ["a", "b", "c"]) {
  const quarantine = createQuarantine();
  let told = 0;
  let rehearsals = 0;
  const isolation = createIsolation({
    quarantine,
    name: { destination: "f" },
    log: { warn: () => void told++ },
    tally: { heldBack() {} },
    mask: (text) => text.replace("t0k3n", "…"),
  });
  const refusal: Refusal = {
    ...{ error, now, before, changed },
    async rehearse(world) {
      rehearsals += 1;
      const isNew = (service: string) => world.services.get(service)?.[0]?.port === 2;
      return bad.includes("*") || bad.some(isNew) ? error : undefined;
    },
  };
  return {
    ...{ quarantine, isolation, refusal },
    isolate: (turn: Turn = calm) => isolation.isolate(refusal, turn),
    counts: () => ({ told, rehearsals }),
  };
}

describe("after a refusal", () => {
  it("holds back what is at fault, and says what the check says of it, without secrets", async () => {
    const { isolate, quarantine, counts } = isolating(["b"]);
    expect(await isolate()).toBe("held");
    expect(quarantine.status()).toEqual([{ service: "b", why: "[ALERT] no …" }]);
    expect(quarantine.show(now).snapshot?.services.get("b")).toBe(before.services.get("b"));
    expect(counts().told).toBe(1);
  });

  it("asks for nothing more once something newer has come", async () => {
    const { isolate, quarantine, counts } = isolating(["b"]);
    let left = 2;
    expect(await isolate({ ...calm, settled: async () => left-- > 0 })).toBe("superseded");
    expect([counts().rehearsals, quarantine.status()]).toEqual([2, []]);
  });

  it.each([
    ["one service has changed", ["b"], ["b"]],
    ["no service has", ["b"], []],
    ["all are at fault", ["a", "b", "c"], ["a", "b", "c"]],
  ])("is a refusal where %s", async (_, bad, changed) => {
    await expect(isolating(bad, changed).isolate()).rejects.toBe(error);
  });

  it("does not count what was only read anew", async () => {
    const { isolation, refusal, counts } = isolating(["*"]);
    await expect(isolation.isolate({ ...refusal, before: worldOf(2) }, calm)).rejects.toBe(error);
    expect(counts().rehearsals).toBe(0);
  });

  it("puts off the next search after one that has found nothing, until something else has changed", async () => {
    const { isolate, isolation, counts } = isolating(["*"]);
    for (let round = 0; round < 3; round++) await expect(isolate()).rejects.toBe(error);
    expect(counts()).toEqual({ told: 0, rehearsals: 1 });
    isolation.begin();
    await expect(isolate()).rejects.toBe(error);
    expect(counts().rehearsals).toBe(2);
  });

  it("holds back again what was tried alone, without a search and without a word", async () => {
    const { isolation, refusal, isolate, quarantine, counts } = isolating(["b"]);
    await isolate();
    const searched = counts();
    quarantine.tryAgain();
    expect(quarantine.show(now).heldBack).toEqual([]);
    expect(await isolation.isolate({ ...refusal, changed: ["b"] }, calm)).toBe("held");
    expect(quarantine.show(now).heldBack).toHaveLength(1);
    expect(counts()).toEqual(searched);
  });

  it("is a refusal again where what was held back alone has changed to something else", async () => {
    const { isolation, refusal, isolate, quarantine, counts } = isolating(["b"]);
    await isolate();
    const other = worldOf(3);
    await expect(isolation.isolate({ ...refusal, now: other, changed: ["b"] }, calm)).rejects.toBe(error);
    expect(quarantine.show(other).snapshot?.services.get("b")).toBe(before.services.get("b"));
    expect(counts().told).toBe(2);
  });
});
