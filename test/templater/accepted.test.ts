import { describe, expect, it } from "vitest";
import { openAccepted } from "../../src/templater/accepted.ts";

/** A state folder in memory whose writes can be held and broken. */
function createState(text?: string) {
  const state = {
    text,
    writes: 0,
    broken: false,
    gate: Promise.resolve(),
    read: async () => state.text,
    async write(_name: string, content: string) {
      state.writes += 1;
      await state.gate;
      if (state.broken) throw new Error("disk full");
      state.text = content;
    },
  };
  return state;
}

describe("openAccepted", () => {
  it("knows nothing at first, and what it was told after a restart", async () => {
    const state = createState();
    const accepted = await openAccepted(state);
    expect(accepted.get("/b")).toBeUndefined();
    await accepted.set("/b", "22");
    await accepted.set("/a", "11");
    expect(state.text).toBe('{\n "/a": "11",\n "/b": "22"\n}\n');
    const again = await openAccepted(state);
    expect([again.get("/a"), again.get("/b")]).toEqual(["11", "22"]);
    await again.forget("/a");
    await again.forget("/a");
    const third = await openAccepted(state);
    expect([third.get("/a"), third.get("/b")]).toEqual([undefined, "22"]);
  });

  it.each(["", "nonsense", "null", "7", '{"/a":7}', "[]"])("takes %j for nothing", async (text) => {
    const accepted = await openAccepted(createState(text));
    expect(accepted.get("/a")).toBeUndefined();
  });

  it("makes one write of many at once, each being on the disk when it resolves", async () => {
    const state = createState();
    const accepted = await openAccepted(state);
    let open = () => {};
    state.gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const first = accepted.set("/first", "0");
    await Promise.resolve();
    await Promise.resolve();
    const rest = Array.from({ length: 100 }, async (_, i) => {
      await accepted.set(`/${i}`, `${i}`);
      expect((await openAccepted(state)).get(`/${i}`)).toBe(`${i}`);
    });
    open();
    await Promise.all([first, ...rest]);
    expect(state.writes).toBe(2);
  });

  it("still knows what it could not write, but does not forget what the disk remembers", async () => {
    const state = createState('{"/a":"11"}');
    const accepted = await openAccepted(state);
    state.broken = true;
    await expect(accepted.set("/b", "22")).rejects.toThrow("disk full");
    await expect(accepted.forget("/a")).rejects.toThrow("disk full");
    expect([accepted.get("/a"), accepted.get("/b")]).toEqual(["11", "22"]);
    state.broken = false;
    await accepted.set("/c", "33");
    const again = await openAccepted(state);
    expect([again.get("/a"), again.get("/b"), again.get("/c")]).toEqual(["11", "22", "33"]);
  });
});
