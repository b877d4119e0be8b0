import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { Context } from "../../src/commands/context.ts";
import { serveStatus } from "../../src/commands/serve-status.ts";
import { parseArguments } from "../../src/config/arguments.ts";
import { readSettings } from "../../src/config/settings.ts";
import { createMetrics } from "../../src/status/metrics.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { runHere } from "./run-here.ts";

const soon = { within: 20_000 };

it("the token that is asked for is the one that the file holds now, and nobody's while it holds none", async () => {
  const dir = tempDir("serve-status");
  const file = join(dir, "token");
  writeFileSync(file, "first-token");
  const words = ["registrator", "--listen", "0.0.0.0:0", "--listen-token-file", "token", "consul:"];
  const given = { ...(await parseArguments(words)), command: "registrator" } as const;
  const logged: string[] = [];
  const note = (_: unknown, text: string) => void logged.push(text);
  const context = {
    ...{ command: "registrator", version: "1", settings: await readSettings(given, {}, dir) },
    log: { debug: note, info: note, warn: note, error: note },
  } as unknown as Context;
  expect(context.settings.mistakes).toEqual([]);
  const served = await serveStatus(context, createMetrics(), () => undefined);
  onTestFinished(() => served?.close());
  const url = `http://127.0.0.1:${served?.address.split(":")[1]}/status`;
  const answers = async (token: string) =>
    (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).status;
  expect(await answers("first-token")).toBe(200);

  // As secrets are exchanged.
  writeFileSync(join(dir, "next"), "second-token");
  renameSync(join(dir, "next"), file);
  await waitFor("the second token", async () => (await answers("second-token")) === 200, soon);
  expect(await answers("first-token")).toBe(401);
  writeFileSync(file, "");
  await waitFor("nobody to be let in", async () => (await answers("second-token")) === 401, soon);
  expect(await answers("")).toBe(401);
  writeFileSync(file, "second-token");
  await waitFor("the token to count again", async () => (await answers("second-token")) === 200, soon);
  expect(logged.filter((text) => text.startsWith("nobody may read"))).toHaveLength(1);
  expect(logged.join()).not.toContain("-token");
});

it("no daemon starts with a token that cannot be read", async () => {
  const dir = tempDir("serve-status");
  writeFileSync(join(dir, "a.hbs"), "");
  writeFileSync(join(dir, "empty"), "\n");
  const line = `templater -t a.hbs:a file://${dir}/r --state-dir s --listen 127.0.0.1:0 --listen-token-file`;
  for (const [file, why] of [
    ["missing", "does not exist"],
    ["empty", "is empty"],
  ]) {
    const { code, stderr } = await runHere([...line.split(" "), file ?? ""], dir);
    expect([code, stderr]).toEqual([78, expect.stringContaining(`${file} ${why}; write one into it`)]);
  }
});
