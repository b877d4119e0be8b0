import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { Context } from "../../src/commands/context.ts";
import { runDaemon, type Start } from "../../src/commands/run-daemon.ts";
import { parseArguments } from "../../src/config/arguments.ts";
import { readSettings } from "../../src/config/settings.ts";
import { waitFor } from "../servers/wait.ts";

it("a configuration file that is edited is applied without a signal; while it is bad, the old one stays", async () => {
  const dir = mkdtempSync(join(tmpdir(), "portolan-run-daemon-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, "a.hbs"), "");
  const config = (wait: string) =>
    writeFileSync(
      join(dir, "portolan.yaml"),
      `{ backend: file://${dir}/r, listen: off, stateDir: s, templater: { wait: ${wait}, templates: [{ source: a.hbs, destination: a }] } }`,
    );
  config("1s");
  const given = { ...(await parseArguments(["templater"])), command: "templater" } as const;
  const read = () => readSettings(given, {}, dir);
  const stopping = new AbortController();
  const errors: string[] = [];
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (_: unknown, text: string) => void errors.push(text),
  };
  let isStarted = false;
  const context: Context = {
    ...{ command: "templater", settings: await read(), reread: read, env: {}, cwd: dir, version: "1", log },
    ...{ print() {}, say() {}, stop: stopping.signal, hurry: new AbortController().signal, linger() {} },
    terminal: false,
    started: () => {
      isStarted = true;
    },
    onReload() {},
  };
  const waits: number[] = [];
  const ended = runDaemon(context, ({ settings }) => {
    waits.push(settings.targets[0]?.wait.min ?? 0);
    return { notReady: () => [], status: () => ({}), synced: async () => {}, refresh() {}, async stop() {} };
  });
  await waitFor("the start", () => isStarted, { within: 10_000 });
  config("x");
  await waitFor("the report", () => errors.length > 0, { within: 20_000 });
  expect(errors).toEqual(["configuration not applied; the old one stays"]);
  config("2s");
  await waitFor("the next", () => waits.length === 2, { within: 20_000 });
  stopping.abort();
  expect(await ended).toBe(0);
  expect(waits).toEqual([1000, 2000]);
});

it("a daemon that is to end while its configuration is read again is not started anew, and ends for good", async () => {
  const dir = mkdtempSync(join(tmpdir(), "portolan-run-daemon-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, "a.hbs"), "");
  const config = (wait: string) =>
    writeFileSync(
      join(dir, "portolan.yaml"),
      `{ backend: file://${dir}/r, listen: off, stateDir: s, templater: { wait: ${wait}, templates: [{ source: a.hbs, destination: a }] } }`,
    );
  config("1s");
  const given = { ...(await parseArguments(["templater"])), command: "templater" } as const;
  const read = () => readSettings(given, {}, dir);
  const stopping = new AbortController();
  let hangUp = () => {};
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const context: Context = {
    ...{ command: "templater", settings: await read(), reread: read, env: {}, cwd: dir, version: "1", log },
    ...{ print() {}, say() {}, started() {}, stop: stopping.signal },
    ...{ hurry: new AbortController().signal, linger() {}, terminal: false },
    onReload: (listener) => {
      hangUp = listener;
    },
  };
  let starts = 0;
  const stops: boolean[] = [];
  let goOn = () => {};
  const start: Start = ({ restarting }) => {
    starts += 1;
    const quiet = { notReady: () => [], status: () => ({}), synced: async () => {}, refresh() {} };
    return {
      ...quiet,
      async stop() {
        stops.push(restarting());
        if (stops.length === 1)
          await new Promise<void>((resolve) => {
            goOn = resolve;
          });
      },
    };
  };
  const ended = runDaemon(context, start);
  await waitFor("the start", () => starts === 1, { within: 10_000 });
  config("2s");
  await waitFor(
    "the stop for the new configuration",
    () => {
      if (stops.length === 0) hangUp();
      return stops.length === 1;
    },
    { within: 10_000, every: 200 },
  );
  stopping.abort();
  await waitFor("the end to be waited for", () => stops.length === 1, { within: 1_000 });
  goOn();
  expect(await ended).toBe(0);
  expect(starts).toBe(1);
  // The last one is no restart: what `--on-exit` says is done.
  expect(stops).toEqual([true, false]);
});
