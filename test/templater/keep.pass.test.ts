import { expect, it } from "vitest";
import type { Outcome } from "../../src/templater/keep/outcome.ts";
import { createPass, type PassOptions } from "../../src/templater/keep/pass.ts";
import { lookAhead } from "../../src/templater/look-ahead.ts";
import { waitFor } from "../servers/wait.ts";
import { calm, createWorkspace } from "./workspace.ts";

/** Passes of a keeper with no targets, to which nothing happens but what `pieces` say. */
function passes(pieces: { readonly [Piece in keyof PassOptions]?: Partial<PassOptions[Piece]> }) {
  const nothing = {
    cancel() {},
    forget() {},
    met() {},
    setReason() {},
    passed() {},
    because() {},
    changing() {},
  };
  return createPass({
    ...{ targets: [], alarm: nothing, retry: nothing, report: nothing, tally: nothing, verdicts: nothing },
    ...{ lag: { applied() {}, hasNews: () => false }, quarantine: { due: () => undefined }, settled() {} },
    ...{ pins: { begin: async () => undefined, end: async () => false }, nudge() {} },
    ...pieces,
  } as unknown as PassOptions);
}

const outcome: Outcome = { made: [], snapshot: undefined, heldBack: [], keys: undefined, unmet: [] };

it("a pass that cannot tell whether a rollback is in force ends with the render that it has begun", async () => {
  let isRendered = false;
  const pass = passes({
    pins: { begin: () => Promise.reject(new Error("no pin")), end: async () => false },
    rendering: {
      async render() {
        await new Promise((resolve) => setImmediate(resolve));
        isRendered = true;
        return outcome;
      },
    },
    applying: { intervalOver: async () => {}, payDebt: async () => {} },
  });
  await expect(pass.run(calm)).rejects.toThrow("no pin");
  expect(isRendered).toBe(true);
});

it("what was looked at ahead is put away while minInterval is waited for", async () => {
  const space = await createWorkspace();
  await space.install("old", { reload: { kind: "none" } });
  const target = space.target({ reload: { kind: "haproxy", socket: "/nonexistent/admin.sock" } });
  const during: (readonly string[])[] = [];
  const pass = passes({
    targets: [target],
    records: async () => space.records,
    rendering: {
      bad: () => undefined,
      reads: () => [],
      async render() {
        lookAhead({ text: "new", target });
        await waitFor("the staged file", () => space.names().length === 2, { within: 10_000 });
        return outcome;
      },
    },
    unit: { plan: async () => [{ text: "new", target }] },
    applying: {
      isEarly: () => true,
      intervalOver: async () => void during.push(space.names()),
      applied: () => undefined,
      apply: async () => ({ is: "accepted", reason: undefined }),
    },
  });
  await pass.run(calm);
  expect([...during, space.names()]).toEqual([["proxy.cfg"], ["proxy.cfg"]]);
});
