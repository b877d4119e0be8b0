import { beforeEach, expect, it, vi } from "vitest";
import type { Daemon } from "../../src/daemon.ts";
import type { Log } from "../../src/log.ts";
import { startRegistrator } from "../../src/registrator/index.ts";
import type { RegistratorSettings } from "../../src/registrator/settings.ts";
import { settings } from "./build.ts";
import { faultyMemory } from "./faulty-memory.ts";
import { advance, finish, monotonic } from "./virtual-clock.ts";
import { startWorld } from "./world.ts";

vi.mock("../../src/clock.ts", () => import("./virtual-clock.ts"));

let world: Awaited<ReturnType<typeof startWorld>>;
let store: Awaited<ReturnType<typeof faultyMemory>>;
let daemon: Daemon;
let onExit: RegistratorSettings["onExit"];
let lingers: number[];
beforeEach(async () => {
  world = await startWorld(1);
  store = await faultyMemory();
  lingers = [];
  daemon = startRegistrator({
    docker: "virtual",
    backends: [store.backend],
    // Read again at each stop, as it is while the process reads its configuration again.
    settings: Object.defineProperty({ ...settings({ ip: "10.0.0.5" }) }, "onExit", { get: () => onExit }),
    env: {},
    log: new Proxy({} as Log, { get: () => () => {} }),
    connect: world.docker.connect,
    linger: (ms) => void lingers.push(ms),
  });
  await world.go(["run", "a", "once", 100]);
  await world.stop();
  expect(states()).toEqual(["ready"]);
});
const states = () => store.records().map(({ state }) => state);

it("a stop that was to be a restart keeps the records, and the end that follows removes them at once", async () => {
  onExit = "keep";
  const restart = daemon.stop();
  // Only now it is the end, which a drain can come before no more: nobody writes.
  onExit = "drain";
  await finish(restart);
  expect(states()).toEqual(["ready"]);
  const began = monotonic();
  await finish(daemon.stop());
  expect(states()).toEqual([]);
  expect(monotonic() - began).toBeLessThan(1000);
  expect(lingers).toEqual([]);
});

it("a drain is shown once, whether it is asked for before the stop or not", async () => {
  onExit = "drain";
  const began = monotonic();
  const drained = daemon.drain?.() ?? Promise.resolve();
  await advance(250);
  expect(states()).toEqual(["draining"]);
  await finish(drained);
  expect(states()).toEqual(["draining"]);
  expect(lingers).toHaveLength(1);
  const drainedAfter = monotonic() - began;
  await finish(daemon.stop());
  expect(states()).toEqual([]);
  expect(lingers).toHaveLength(1);
  expect(monotonic() - began - drainedAfter).toBeLessThan(1000);
});

it("a second signal ends a drain that was asked for before the stop", async () => {
  onExit = "drain";
  const hurry = new AbortController();
  const began = monotonic();
  const drained = daemon.drain?.(hurry.signal) ?? Promise.resolve();
  await advance(250);
  hurry.abort();
  await finish(drained);
  await finish(daemon.stop(hurry.signal));
  expect(states()).toEqual([]);
  expect(monotonic() - began).toBeLessThan(2000);
});

it("nothing is shown where the end keeps or only deregisters", async () => {
  onExit = "keep";
  await daemon.drain?.();
  expect(states()).toEqual(["ready"]);
  onExit = "deregister";
  await daemon.drain?.();
  await finish(daemon.stop());
  expect([states(), lingers]).toEqual([[], []]);
});
