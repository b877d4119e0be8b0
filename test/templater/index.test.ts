import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { openMemory } from "../../src/backends/memory.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { startTemplater } from "../../src/templater/index.ts";
import type { Target } from "../../src/templater/target.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

const log = { debug() {}, info() {}, warn() {}, error() {} };

it("ends what it had begun when it cannot be started, and can be started then", async () => {
  const dir = tempDir("start");
  const source = join(dir, "out.hbs");
  writeFileSync(source, "text");
  const targets = ["a", "b"].map(
    (name): Target => ({
      source,
      destination: join(dir, name),
      reload: { kind: "none" },
      commandTimeout: 10_000,
      wait: { min: 0, max: 0 },
      minInterval: 0,
    }),
  );
  const backend = await openMemory();
  let open = 0;
  const counted = {
    ...backend,
    observe(interest: Parameters<typeof backend.observe>[0]) {
      const observation = backend.observe(interest);
      open += 1;
      const close = async () => {
        await observation.close();
        open -= 1;
      };
      return { ...observation, close };
    },
  };
  const state = await openStateDir(join(dir, "state"));
  const options = { targets, state, env: {}, node: "h", log };
  const notes = () => {
    throw new Error("no notes here");
  };
  expect(() => startTemplater({ ...options, backend: { ...counted, notes } })).toThrow("no notes here");
  await waitFor("the end", () => open === 0, { within: 10_000 });
  expect(existsSync(join(dir, "a"))).toBe(false);
  const daemon = startTemplater({ ...options, backend: counted });
  onTestFinished(async () => {
    await daemon.stop();
    await state.close();
  });
  await daemon.synced(new AbortController().signal);
  expect([existsSync(join(dir, "a")), existsSync(join(dir, "b"))]).toEqual([true, true]);
});
