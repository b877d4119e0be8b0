import { describe, expect, it } from "vitest";
import type { Notes } from "../../src/backends/backend.ts";
import { openMemory } from "../../src/backends/memory.ts";
import { orderDrains } from "../../src/commands/drain-orders.ts";
import { changeOverride, readOverrides } from "../../src/commands/override-notes.ts";
import { PortolanError } from "../../src/errors.ts";
import type { Override } from "../../src/override.ts";
import { container } from "../registrator/build.ts";
import { instance } from "./registry-folder.ts";

const never = new AbortController().signal;
const since = "2026-01-31T12:00:00.000Z";
const drain = { since, by: "ann@lb-1" };
const tags = { added: ["blue"], removed: [], since, by: "ann@lb-1" };
const target = (name: string) => ({ id: `host1:${name}:80`, node: "host1", container: name });
const [first, second] = [target("a"), target("b")];

/** The notes of a backend in which these overrides stand, and a drain that is ordered of two containers there. */
async function ordering(before: readonly Override[], exchange?: Notes["exchange"]) {
  const notes = (await openMemory()).notes?.("overrides") as Notes;
  const write = (override: Override) =>
    changeOverride({ notes, title: "memory" }, override.target, () => override, never);
  for (const override of before) await write(override);
  const said: string[] = [];
  const progress = { step: (line: string) => void said.push(line), waiting() {} };
  const all = ["a", "b"].map((name) => ({
    container: container({ id: name, name }),
    instances: [instance("web", 80, { id: `host1:${name}:80`, container: { id: name, name, image: "web" } })],
  }));
  const overrides = { ...notes, ...(exchange && { exchange }) };
  const order = () =>
    orderDrains({ overrides, title: "memory" }, all, { command: "stop", stop: never }, progress);
  const read = async () => [...(await readOverrides(notes, "memory", never)).values()];
  return { notes, write, said, order, read };
}

describe("a drain that a command orders", () => {
  it.each<[what: string, before: readonly Override[], during: readonly (string | undefined)[]]>([
    ["of nothing that anybody else has ordered", [], ["(stop)", "(stop)"]],
    ["beside tags", [{ target: first, tags }], ["(stop)", "(stop)"]],
    ["of what somebody drains already", [{ target: first, drain }], ["ann@lb-1", "(stop)"]],
    [
      "of what somebody drains for a time that may be over too early",
      [{ target: first, drain: { ...drain, until: "2099-01-31T12:00:00Z" }, tags }],
      ["(stop)", "(stop)"],
    ],
    ["of a node that drains", [{ target: { node: "host1" }, drain }], ["(stop)", "(stop)", "ann@lb-1"]],
  ])("%s leaves it as it was", async (_what, before, during) => {
    const { order, read } = await ordering(before);
    const orders = await order();
    expect(orders.isOurs).toBe(true);
    const found = await read();
    expect(found.map((one) => one.drain?.by.replace(/^.* /, ""))).toEqual(during);
    expect(found.map((one) => one.drain?.until)).toEqual(during.map(() => undefined));
    await orders.takeBack();
    expect(await read()).toEqual(before);
  });

  it("says nothing of the container that had the id before", async () => {
    const { order, read } = await ordering([{ target: { ...first, container: "older" }, drain, tags }]);
    const orders = await order();
    expect((await read()).map(({ target }) => target)).toEqual([first, second]);
    await orders.takeBack();
    expect(await read()).toEqual([]);
  });

  it("stays where somebody else has ordered it anew meanwhile", async () => {
    const { order, write, read } = await ordering([]);
    const orders = await order();
    await write({ target: first, drain });
    await orders.takeBack();
    expect(await read()).toEqual([{ target: first, drain }]);
  });

  it("is taken back where it cannot be written for all", async () => {
    const { order, read, notes } = await ordering([], async (...note) => {
      if (note[0] === second.id) throw new PortolanError("BACKEND_DENIED", "no right to write overrides/");
      return notes.exchange(...note);
    });
    await expect(order()).rejects.toThrow("no right to write overrides/");
    expect(await read()).toEqual([]);
  });

  it("that cannot be taken back is told with the way out", async () => {
    let isAway = false;
    const tagged = { target: first, tags };
    const { order, said, notes } = await ordering([tagged], async (...note) => {
      if (isAway) throw new PortolanError("BACKEND_UNREACHABLE", "memory: away");
      return notes.exchange(...note);
    });
    const orders = await order();
    isAway = true;
    await orders.takeBack();
    expect(said).toEqual([
      "the drain of host1:a:80, host1:b:80 is not taken back: memory: away; `portolan undrain` ends it",
    ]);
  });
});
