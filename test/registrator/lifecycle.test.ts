import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Log } from "../../src/log.ts";
import { startRegistrator } from "../../src/registrator/index.ts";
import { settings } from "./build.ts";
import { faultyMemory } from "./faulty-memory.ts";
import { advance, chance, finish, monotonic } from "./virtual-clock.ts";
import type { Virtual } from "./virtual-docker.ts";
import { startWorld } from "./world.ts";

vi.mock("../../src/clock.ts", () => import("./virtual-clock.ts"));

type World = Awaited<ReturnType<typeof startWorld>>;
let world: World;
const begin = async (over: Parameters<typeof startWorld>[1] = {}) => {
  world = await startWorld(1, { resync: 600_000, ...over });
};
beforeEach(() => {
  vi.spyOn(Math, "random").mockImplementation(chance);
});
afterEach(async () => {
  await world.stop();
  vi.restoreAllMocks();
});

/** What the backend holds, as `<id without node> <state>`. */
const held = () => world.store.records().map(({ id, state }) => `${id.replace("host1:", "")} ${state}`);
const one = (name = "a"): Virtual => {
  const found = [...world.docker.containers.values()].find((each) => each.name === name);
  if (!found) throw new Error(`no container ${name}`);
  return found;
};
/** Runs a container with this policy. */
const run = async (policy: Readonly<Record<string, string>>, where: "labels" | "env" = "labels") => {
  await world.go(["run", "a", "never", 0]);
  one()[where] = { ...policy };
  world.docker.emit("once", "start", [...world.docker.containers.keys()].at(-1) ?? "");
  await advance(100);
};
const never = { SERVICE_DEREGISTER: "never" };
const onSuccess = { SERVICE_DEREGISTER: "on-success" };

describe("records of containers that ended", () => {
  it.each([
    ["the option", "never" as const, {}, "labels" as const],
    ["a label", "always" as const, never, "labels" as const],
    ["a variable", "always" as const, never, "env" as const],
  ])("stay unhealthy until the container is removed, by %s", async (_by, deregister, policy, where) => {
    await begin({ deregister });
    await run(policy, where);
    expect(held()).toEqual(["a:80 ready"]);
    await world.go(["crash"]);
    expect(held()).toEqual(["a:80 unhealthy"]);
    // Its port is not known any more when Docker is asked after a restart.
    await world.go(["upgrade", "a", "once", 2000]);
    expect(held()).toEqual(["a:80 unhealthy"]);
    await world.go(["remove"]);
    expect(held()).toEqual([]);
  });

  it("are ready again when the container starts again", async () => {
    await begin({ deregister: "never" });
    await run({});
    await world.go(["exit"], ["run", "a", "once", 100]);
    expect(held()).toEqual(["a:80 ready"]);
  });

  it.each([
    [0, []],
    [1, ["a:80 unhealthy"]],
    [137, []],
  ])("go with on-success as the exit code %d says, in each order of events", async (exitCode, expected) => {
    await begin();
    await run(onSuccess);
    one().running = false;
    one().exitCode = exitCode;
    const id = [...world.docker.containers.keys()].at(-1) ?? "";
    world.store.script.writes.length = 0;
    world.docker.emit("once", "die", id, { ...onSuccess, exitCode: String(exitCode) });
    await advance(1000);
    expect(held()).toEqual(expected);
    expect(world.store.script.writes).toHaveLength(1);
  });

  it("stay as the exit code says that is found after an absence", async () => {
    await begin();
    await run(onSuccess, "env");
    const { docker, store } = world;
    await world.stop();
    for (const each of docker.containers.values()) Object.assign(each, { running: false, exitCode: 1 });
    await world.go(["upgrade", "a", "once", 2000]);
    expect(held()).toEqual(["a:80 unhealthy"]);
    // Removed unseen: the next full read tells.
    docker.containers.clear();
    await world.go(["upgrade", "a", "once", 2000]);
    expect(store.records()).toEqual([]);
  });

  it("go at a removal that nobody told of, with the next full read", async () => {
    await begin({ deregister: "never", resync: 5000 });
    await run({});
    await world.go(["exit"]);
    expect(held()).toEqual(["a:80 unhealthy"]);
    world.docker.containers.clear();
    await advance(7000);
    expect(held()).toEqual([]);
  });

  it("go although Docker could not describe the container when it ended (R1)", async () => {
    await begin();
    await run({});
    await world.go(["sicken"], ["rename", "a", "once", 12_000]);
    expect(world.notReady().join()).toContain("cannot be read");
    await world.go(["exit", "a", "once", 100]);
    expect(held()).toEqual([]);
    expect(world.notReady()).toEqual([]);
  });
});

describe("a container that crashes", () => {
  const crash = async (rest = 200) => world.go(["crash", "a", "once", 100], ["run", "a", "once", rest]);
  const remarks = () => world.lines.filter((line) => line.includes("ended 3 times within 60 s"));

  it("is registered again at once after its first and second end, and after the third when it has run for 10 s", async () => {
    await begin();
    await run({});
    for (let round = 0; round < 2; round += 1) {
      await crash();
      expect(held()).toEqual(["a:80 ready"]);
    }
    await crash(9000);
    expect(held()).toEqual([]);
    expect(world.notReady()).toEqual([]);
    expect(remarks()).toHaveLength(1);
    await advance(1100);
    expect(held()).toEqual(["a:80 ready"]);
  });

  it("costs no writes in a loop, is told of once, and has to run for 30 s at most", async () => {
    await begin();
    await run({});
    for (let round = 0; round < 3; round += 1) await crash();
    world.store.script.writes.length = 0;
    for (let round = 0; round < 30; round += 1) await crash(5000);
    expect(world.store.script.writes).toEqual([]);
    expect(remarks()).toHaveLength(1);
    await advance(25_500);
    expect(held()).toEqual(["a:80 ready"]);
  });

  it("is in the loop again when it ends soon after its return", async () => {
    await begin();
    await run({});
    for (let round = 0; round < 3; round += 1) await crash();
    await advance(11_000);
    expect(held()).toEqual(["a:80 ready"]);
    await crash(15_000);
    expect(held()).toEqual([]);
    await advance(6000);
    expect(held()).toEqual(["a:80 ready"]);
    // A minute of running settles it.
    await advance(60_000);
    await crash();
    expect(held()).toEqual(["a:80 ready"]);
  });

  it("stays unhealthy in its loop where its record stays", async () => {
    await begin({ deregister: "on-success" });
    await run({});
    for (let round = 0; round < 3; round += 1) await crash();
    expect(held()).toEqual(["a:80 unhealthy"]);
    world.store.script.writes.length = 0;
    for (let round = 0; round < 5; round += 1) await crash(5000);
    expect(held()).toEqual(["a:80 unhealthy"]);
    expect(world.store.script.writes).toEqual([]);
    await advance(30_000);
    expect(held()).toEqual(["a:80 ready"]);
  });

  it("is not damped when somebody restarts or replaces it (R2)", async () => {
    await begin();
    await run({});
    for (let round = 0; round < 6; round += 1) {
      await world.go(["restart", "a", "once", 200]);
      expect(held()).toEqual(["a:80 ready"]);
    }
    for (let round = 0; round < 3; round += 1) await crash();
    expect(held()).toEqual([]);
    // Whoever restarts it has taken care of it.
    await world.go(["restart", "a", "once", 200]);
    expect(held()).toEqual(["a:80 ready"]);
    for (let round = 0; round < 3; round += 1) await crash();
    await world.go(["remove"], ["run", "a", "once", 200]);
    expect(held()).toEqual(["a:80 ready"]);
  });

  it("is known to a registrator that starts amid the loop", async () => {
    await begin();
    await run({});
    for (let round = 0; round < 3; round += 1) await crash();
    await world.go(["upgrade", "a", "once", 2000]);
    expect(held()).toEqual([]);
    await advance(9000);
    expect(held()).toEqual(["a:80 ready"]);
  });

  it("counts each end once, however often Docker tells of it", async () => {
    await begin();
    await run({});
    await world.go(["crash", "a", "twice", 100], ["run", "a", "twice", 100], ["cut", "a", "once", 2000]);
    await world.go(["crash", "a", "twice", 100], ["run", "a", "twice", 100]);
    expect(held()).toEqual(["a:80 ready"]);
  });
});

describe("a drain", () => {
  const stopSignal = async () => {
    const [id = ""] = world.docker.containers.keys();
    world.docker.emit("once", "kill", id, { signal: "15" });
    await advance(300);
  };

  it("goes on over a restart of the registrator, and is over after 60 s", async () => {
    await begin();
    await run({});
    await stopSignal();
    expect(held()).toEqual(["a:80 draining"]);
    await advance(30_000);
    world.store.script.writes.length = 0;
    await world.go(["upgrade", "a", "once", 29_000]);
    expect(world.store.script.writes).toEqual([]);
    await advance(2000);
    expect(held()).toEqual(["a:80 ready"]);
  });

  it("goes on by the own record where Docker has forgotten the signal", async () => {
    await begin();
    await run({});
    await advance(1000);
    await stopSignal();
    // A daemon with live-restore starts anew: what it knew of events is lost.
    const { docker } = world;
    docker.crash();
    await world.stop();
    docker.daemon.up = true;
    await advance(1000);
    world.store.script.writes.length = 0;
    await world.go(["upgrade", "a", "once", 50_000]);
    expect(held()).toEqual(["a:80 draining"]);
    expect(world.store.script.writes).toEqual([]);
    await advance(12_000);
    expect(held()).toEqual(["a:80 ready"]);
  });

  it("is not kept by a record when Docker knows that no signal came (R2)", async () => {
    await begin();
    await run({});
    const [record] = world.store.records();
    await advance(70_000);
    if (record) await world.store.put(world.owner, { ...record, state: "draining" });
    await world.go(["upgrade", "a", "once", 2000]);
    expect(held()).toEqual(["a:80 ready"]);
  });

  it("lasts as long as DRAIN says", async () => {
    await begin();
    await run({ SERVICE_DRAIN: "2m" });
    await stopSignal();
    await advance(110_000);
    await world.go(["upgrade", "a", "once", 5000]);
    expect(held()).toEqual(["a:80 draining"]);
    await advance(10_000);
    expect(held()).toEqual(["a:80 ready"]);
  });
});

describe("--on-exit drain", () => {
  const twoContainers = async () => {
    await begin({ onExit: "drain" });
    await run({ SERVICE_DRAIN: "20" });
    await world.go(["run", "b"]);
    expect(held()).toEqual(["a:80 ready", "b:80 ready"]);
  };

  it("shows all as draining for the longest DRAIN, and then nothing (R7)", async () => {
    await twoContainers();
    const ended = world.end();
    await advance(250);
    expect(held()).toEqual(["a:80 draining", "b:80 draining"]);
    await advance(19_500);
    expect(held()).toEqual(["a:80 draining", "b:80 draining"]);
    await world.go(["remove", "b", "once", 100]);
    expect(held()).toEqual(["a:80 draining"]);
    await finish(ended);
    expect(held()).toEqual([]);
  });

  it("ends at a second signal", async () => {
    await twoContainers();
    const hurry = new AbortController();
    const ended = world.end(hurry.signal);
    await advance(1000);
    expect(held()).toEqual(["a:80 draining", "b:80 draining"]);
    hurry.abort();
    await advance(250);
    expect(held()).toEqual([]);
    await finish(ended);
  });

  it("waits for nobody when nothing is registered", async () => {
    await begin({ onExit: "drain" });
    await advance(1000);
    const before = monotonic();
    await world.stop();
    expect(monotonic() - before).toBeLessThan(1000);
  });
});

it("--adopt takes over what another registrator left for this host, and nothing else (R3)", async () => {
  await begin({ adopt: true });
  await world.go(["run", "app", "once", 100]);
  const [record] = world.store.records();
  if (!record) throw new Error("no record");
  await world.go(["run", "other", "once", 100]);
  one("other").labels = { SERVICE_ID: "given" };
  const { owner, container, ...foreign } = record;
  await world.stop();
  await world.store.wipe(world.owner);
  for (const id of ["host1:app:80", "host1:old:80", "host2:old:80", "by-hand", "given"])
    await world.store.put(world.owner, { ...foreign, id, port: 1 });
  await world.go(["upgrade", "a", "once", 2000]);
  expect(world.store.records().map((each) => `${each.id} ${each.owner} ${each.port}`)).toEqual([
    "by-hand undefined 1",
    `given ${owner} ${one("other").hostPort}`,
    `host1:app:80 ${owner} ${record.port}`,
    "host2:old:80 undefined 1",
  ]);
  expect(world.lines.filter((line) => line.includes("adopted"))).toHaveLength(3);
});

describe("several backends", () => {
  it("do not wait for each other: one refuses, one hangs, one is slow", async () => {
    await begin();
    const { docker } = world;
    const stores = await Promise.all([faultyMemory(), faultyMemory(), faultyMemory(), faultyMemory()]);
    const [dead, hung, slow, good] = stores;
    if (!dead || !hung || !slow || !good) throw new Error("no stores");
    dead.script.mode = "refuses";
    hung.script.mode = "hangs";
    slow.script.slow = 1000;
    const daemon = startRegistrator({
      docker: "virtual",
      backends: stores.map(({ backend }) => backend),
      settings: settings({ ip: "10.0.0.5" }),
      env: {},
      log: new Proxy({} as Log, { get: () => () => {} }),
      connect: docker.connect,
    });
    await advance(30_000);
    const states = ({ records }: (typeof stores)[0]) => records().map(({ state }) => state);
    await world.go(["run", "a", "once", 100]);
    expect(states(good)).toEqual(["ready"]);
    await world.go(["pause", "a", "once", 100]);
    expect(states(good)).toEqual(["paused"]);
    expect([dead, hung, slow].map(states)).toEqual([[], [], []]);
    await advance(5000);
    expect(states(slow)).toEqual(["paused"]);
    const { backends } = daemon.status();
    expect(backends.map(({ problem }) => problem !== undefined)).toEqual([true, true, false, false]);
    dead.script.mode = "ok";
    hung.script.mode = "ok";
    await advance(20_000);
    expect(stores.map(states)).toEqual([["paused"], ["paused"], ["paused"], ["paused"]]);
    expect(daemon.notReady()).toEqual([]);
    await finish(daemon.stop());
  });
});

it("finishes when it is stopped at any moment", async () => {
  await begin();
  for (let round = 0; round < 20; round += 1) {
    await world.go(["upgrade", "a", "once", 0]);
    await advance(round % 7);
  }
});
