import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import type { Context } from "../../src/commands/context.ts";
import { runDaemon, type Start } from "../../src/commands/run-daemon.ts";
import { parseArguments } from "../../src/config/arguments.ts";
import { readSettings } from "../../src/config/settings.ts";
import { createAuthority } from "../servers/certificates.ts";
import { waitFor } from "../servers/wait.ts";

/** A templater that only tells with which shortest waits it was started. */
async function following(dir: string, ...words: readonly string[]) {
  const given = { ...(await parseArguments(["templater", ...words])), command: "templater" } as const;
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
  /** How many of the daemons run. */
  let running = 0;
  /** What goes wrong: the start of one whose wait is 3 s, each start, the next stop. */
  const faults = { starts: false, stop: false };
  const ended = runDaemon(context, ({ settings }) => {
    const wait = settings.targets[0]?.wait.min ?? 0;
    waits.push(wait);
    if (wait === 3000 || faults.starts) throw new Error("no daemon for that");
    running += 1;
    const stop = async () => {
      running -= 1;
      if (!faults.stop) return;
      faults.stop = false;
      throw new Error("no end of that");
    };
    return { notReady: () => [], status: () => ({}), synced: async () => {}, refresh() {}, stop };
  });
  await waitFor("the start", () => isStarted, { within: 10_000 });
  const stop = () => {
    stopping.abort();
    return ended;
  };
  return { waits, errors, stop, faults, running: () => running };
}

/** A folder with a template. */
function folderWithTemplate(): string {
  const dir = mkdtempSync(join(tmpdir(), "portolan-run-daemon-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, "a.hbs"), "");
  return dir;
}

/** Writes the configuration of a templater whose shortest wait is this. */
const configIn = (dir: string) => (wait: string) =>
  writeFileSync(
    join(dir, "portolan.yaml"),
    `{ backend: file://${dir}/r, listen: off, stateDir: s, templater: { wait: ${wait}, templates: [{ source: a.hbs, destination: a }] } }`,
  );

it("a configuration file that is edited is applied without a signal; while it is bad, the old one stays", async () => {
  const dir = folderWithTemplate();
  const config = configIn(dir);
  config("1s");
  const { waits, errors, stop } = await following(dir);
  config("x");
  await waitFor("the report", () => errors.length > 0, { within: 20_000 });
  expect(errors).toEqual(["configuration not applied; the old one stays"]);
  config("2s");
  await waitFor("the next", () => waits.length === 2, { within: 20_000 });
  config("3s");
  await waitFor("the one before", () => waits.length === 4, { within: 20_000 });
  expect(await stop()).toBe(0);
  expect(waits).toEqual([1000, 2000, 3000, 2000]);
  expect(errors).toHaveLength(2);
});

it("a configuration that cannot be started leaves the old one running, or says that nothing does", async () => {
  const dir = folderWithTemplate();
  const config = configIn(dir);
  config("1s");
  const { waits, errors, stop, faults, running } = await following(dir);
  const told = (count: number) => waitFor("the report", () => errors.length === count, { within: 20_000 });
  config("3s");
  await told(1);
  expect([waits, running()]).toEqual([[1000, 3000, 1000], 1]);
  faults.stop = true;
  config("2s");
  await told(2);
  expect([waits.slice(3), running()]).toEqual([[1000], 1]);
  const stays = "configuration not applied; the old one stays";
  expect(errors).toEqual([stays, stays]);
  faults.starts = true;
  config("4s");
  await told(3);
  expect(errors[2]).toBe("configuration not applied; the old one has ended, and cannot be started again");
  expect(running()).toBe(0);
  faults.starts = false;
  config("1s");
  await waitFor("the old one", () => running() === 1, { within: 20_000 });
  expect(await stop()).toBe(0);
  expect([waits.at(-1), running()]).toEqual([1000, 0]);
});

it("a folder of configuration files is followed: what is added, edited and removed counts without a signal", async () => {
  const dir = folderWithTemplate();
  const write = (name: string, text: string) => writeFileSync(join(dir, "conf.d", name), text);
  mkdirSync(join(dir, "conf.d"));
  write(
    "a.yaml",
    `{ backend: file://${dir}/r, listen: off, stateDir: s, templater: { templates: [{ source: ../a.hbs, destination: a }] } }`,
  );
  const { waits, errors, stop } = await following(dir, "-c", "conf.d");
  write("b.yaml", "templater: { wait: 1s }");
  await waitFor("the file that is added", () => waits.length === 2, { within: 20_000 });
  write("c.yaml", "templater: { wait: 4s }");
  await waitFor("the clash", () => errors.length > 0, { within: 20_000 });
  rmSync(join(dir, "conf.d/c.yaml"));
  write("b.yaml", "templater: { wait: 2s }");
  await waitFor("the file that is edited", () => waits.length === 3, { within: 20_000 });
  rmSync(join(dir, "conf.d/b.yaml"));
  await waitFor("the file that is removed", () => waits.length === 4, { within: 20_000 });
  expect(await stop()).toBe(0);
  expect(waits).toEqual([25, 1000, 2000, 25]);
  expect(new Set(errors)).toEqual(new Set(["configuration not applied; the old one stays"]));
});

it("certificates that are replaced count without a restart of the process; while one is not there, the old ones stay", async () => {
  const dir = mkdtempSync(join(tmpdir(), "portolan-run-daemon-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const [first, second] = await Promise.all([createAuthority("first"), createAuthority("second")]);
  const ca = join(dir, "ca.pem");
  copyFileSync(first.ca, ca);
  const words = [
    "registrator",
    "--listen",
    "off",
    "--state-dir",
    "s",
    `zookeeper+tls://127.0.0.1:1?ca=${ca}`,
  ];
  const env = { CONSUL_CACERT: "not-for-zookeeper" };
  const given = { ...(await parseArguments(words)), command: "registrator" } as const;
  const read = () => readSettings(given, env, dir);
  const stopping = new AbortController();
  const said: string[] = [];
  const note = (_: unknown, text: string) => void said.push(text);
  const context: Context = {
    ...{ command: "registrator", settings: await read(), reread: read, env, cwd: dir, version: "1" },
    log: { debug: note, info: note, warn: note, error: note },
    ...{ print() {}, say() {}, stop: stopping.signal, hurry: new AbortController().signal, linger() {} },
    ...{ terminal: false, started: () => note({}, "started"), onReload() {} },
  };
  const used: Backend[] = [];
  const ended = runDaemon(context, ({ backends }) => {
    used.push(...backends);
    return { notReady: () => [], status: () => ({}), synced: async () => {}, refresh() {}, async stop() {} };
  });
  await waitFor("the start", () => said.includes("started"), { within: 10_000 });
  rmSync(ca);
  const refused = "configuration not applied; the old one stays";
  await waitFor("the report", () => said.includes(refused), { within: 20_000 });
  copyFileSync(second.ca, ca);
  await waitFor("the next", () => used.length === 2, { within: 20_000 });
  await waitFor("word of it", () => said.includes("certificates have changed and are used"), {
    within: 20_000,
  });
  expect(used[1]).not.toBe(used[0]);
  stopping.abort();
  expect(await ended).toBe(0);
});

it("a daemon that is to end while its configuration is read again is not started anew, and ends for good", async () => {
  const dir = mkdtempSync(join(tmpdir(), "portolan-run-daemon-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, "a.hbs"), "");
  const config = configIn(dir);
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
