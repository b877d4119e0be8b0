import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { openMemory } from "../../src/backends/memory.ts";
import { type Clearance, createClearance } from "../../src/templater/clearance.ts";
import type { Installed } from "../../src/templater/install-request.ts";
import type { Target } from "../../src/templater/target.ts";
import { advance, reset } from "../registrator/virtual-clock.ts";

vi.mock("../../src/clock.ts", () => import("../registrator/virtual-clock.ts"));

const never = new AbortController().signal;
beforeEach(() => {
  reset(1);
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  onTestFinished(() => void vi.restoreAllMocks());
});

const target = (over: Partial<Target>): Target => ({
  source: "/a.hbs",
  destination: "/a",
  reload: { kind: "none" },
  commandTimeout: 1_000,
  wait: { min: 0, max: 0 },
  minInterval: 0,
  ...over,
});
const options = { node: "one", log: { warn() {} }, nudge() {}, told() {} };

/** An install that reloads when it may: "reloaded", or why it has to wait. */
async function install(clearance: Clearance): Promise<string> {
  const { verdict, owed, note } = await clearance.during(never, async (may): Promise<Installed> => {
    const waits = await may();
    // Other proxies of the group go with the first.
    if (waits === undefined) expect(await may()).toBeUndefined();
    return waits ? { verdict: "owed", owed: waits, took: {} } : { verdict: "reloaded", took: {} };
  });
  return owed ? `${owed.reason} (${owed.retryIn} ms)` : `${verdict}${note === undefined ? "" : `, ${note}`}`;
}
const outcome = (verdict: Installed["verdict"]) => async (): Promise<Installed> => ({ verdict, took: {} });

describe("splay", () => {
  const spread = () => createClearance([target({ splay: 1_000 }), target({ splay: 4_000 })], options);

  it("lets a reload wait a random part of the longest splay, and the changes after it no longer", async () => {
    const clearance = spread();
    expect(await install(clearance)).toBe("waits 2.0 s before it reloads, as splay says (2000 ms)");
    await advance(1_500);
    await clearance.during(never, outcome("superseded"));
    expect(await install(clearance)).toBe("waits 0.5 s before it reloads, as splay says (500 ms)");
    await advance(500);
    expect(await install(clearance)).toBe("reloaded");
    expect(await install(clearance)).toContain("waits 2.0 s");
  });

  it("begins anew after what is owed no more, and not after what could not be installed", async () => {
    const clearance = spread();
    await install(clearance);
    await advance(1_500);
    await clearance.during(never, () => Promise.reject(new Error("no"))).catch(() => {});
    expect(await install(clearance)).toContain("waits 0.5 s");
    await clearance.during(never, outcome("unchanged"));
    expect(await install(clearance)).toContain("waits 2.0 s");
  });
});

describe("turns among hosts", () => {
  const turns = { name: "edge", atMost: 2, wait: 30_000 };
  const lock = async () => (await openMemory()).lock;

  it("begin after the splay, are as many as may reload at once, and last until the install has ended", async () => {
    const locks = await lock();
    const [one, two] = [1, 2].map(() =>
      createClearance([target({ reloadTurns: turns })], { ...options, locks }),
    );
    const late = createClearance([target({ reloadTurns: turns, splay: 2_000 })], { ...options, locks });
    let end = () => {};
    const isOpen = new Promise<void>((resolve) => {
      end = resolve;
    });
    const holding = [one, two].map((clearance) =>
      clearance?.during(never, async (may): Promise<Installed> => {
        await may();
        await isOpen;
        return { verdict: "applied", took: {} };
      }),
    );
    await advance(0);
    expect(await install(late)).toContain("splay");
    await advance(1_000);
    expect(await install(late)).toBe(
      "waits for its turn to reload: of the hosts of edge, at most 2 at once (2000 ms)",
    );
    end();
    await Promise.all(holding);
    await advance(0);
    expect(await install(late)).toBe("reloaded");
  });

  it("are waited for so long and no longer, also while others come and go", async () => {
    const locks = await lock();
    for (const slot of [1, 2]) await locks?.(`reload/edge/${slot}`, "other:1:uuid", 15).renew(never);
    const clearance = createClearance([target({ reloadTurns: turns })], { ...options, locks });
    for (let waited = 0; waited < 30_000; waited += 10_000) {
      expect(await install(clearance)).toContain("waits for its turn");
      await advance(10_000);
    }
    expect(await install(clearance)).toBe(
      "reloaded, without its turn: its turn did not come within 30 s; other has it",
    );
    expect(await install(clearance)).toContain("waits for its turn");
    await clearance.stop();
  });
});
