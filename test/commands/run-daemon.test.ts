import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { Context } from "../../src/commands/context.ts";
import { runDaemon, type Start } from "../../src/commands/run-daemon.ts";
import { parseArguments } from "../../src/config/arguments.ts";
import { readSettings } from "../../src/config/settings.ts";
import { waitFor } from "../servers/wait.ts";

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
    ...{ hurry: new AbortController().signal, linger() {} },
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
