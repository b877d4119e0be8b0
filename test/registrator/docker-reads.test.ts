import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type DockerSource, type Engine, observeDocker } from "../../src/registrator/docker/engine.ts";
import { advance, chance, finish, monotonic, reset } from "./virtual-clock.ts";
import { type Virtual, type VirtualDocker, virtualDocker } from "./virtual-docker.ts";

vi.mock("../../src/clock.ts", () => import("./virtual-clock.ts"));

let docker: VirtualDocker;
let sources: DockerSource[];
beforeEach(() => {
  vi.spyOn(Math, "random").mockImplementation(chance);
  reset(1);
  docker = virtualDocker();
  docker.runs(monotonic);
  sources = [];
});
afterEach(async () => {
  await Promise.all(sources.map((source) => finish(source.close())));
  vi.restoreAllMocks();
});

/** Observes the Docker with a resync that no test waits for. */
const observe = (keeps = (_exitCode: number) => false) => {
  const source = observeDocker({
    url: "virtual",
    env: {},
    resync: 3_600_000,
    readable: () => true,
    stoppingFor: () => 60_000,
    keeps: (_container, exitCode) => keeps(exitCode),
    connect: docker.connect,
  });
  sources.push(source);
  return source;
};
const known = (source: DockerSource): Engine => {
  const now = source.current();
  if (!now.known) throw new Error("nothing is known yet");
  return now.value;
};
const names = (source: DockerSource) => [...known(source).containers.values()].map(({ name }) => name);
/** Runs a container that was started `ago` ms before now. */
const runs = (name: string, over: Partial<Virtual> = {}, ago = 0) => {
  const one: Virtual = {
    name,
    running: true,
    paused: false,
    health: "none",
    hostPort: 9000,
    exitCode: 0,
    started: docker.now() - ago / 1000,
    labels: {},
    env: {},
    draining: false,
    sick: false,
    ...over,
  };
  docker.containers.set(name, one);
  return one;
};
const start = (one: Virtual, telling: "once" | "never" = "once") => {
  Object.assign(one, { running: true, started: docker.now() });
  docker.emit(telling, "start", one.name);
};
const die = (one: Virtual, exitCode = 1, telling: "once" | "never" = "once") => {
  Object.assign(one, { running: false, exitCode });
  docker.emit(telling, "die", one.name, { exitCode: String(exitCode) });
};
/** Lets it fail three times, so that it is in a crash loop, and starts it once more. */
const crashLoop = async (one: Virtual) => {
  for (let round = 0; round < 3; round += 1) {
    start(one);
    await advance(100);
    die(one);
    await advance(100);
  }
  start(one);
  await advance(100);
};

describe("a container that Docker hangs over", () => {
  it("does not keep the others from being seen at the start (R2)", async () => {
    runs("a");
    runs("hung", { sick: "hangs" });
    const source = observe();
    await advance(2500);
    expect(names(source)).toEqual(["a"]);
    expect([...known(source).unread.keys()]).toEqual(["hung"]);
  });

  it("nor after a reconnect, and is shown as it was known", async () => {
    runs("a");
    const hung = runs("hung");
    const source = observe();
    await advance(1000);
    hung.sick = "hangs";
    docker.cut();
    runs("b");
    await advance(5000);
    expect(names(source)).toEqual(["a", "b", "hung"]);
    expect(source.current().problem).toBeUndefined();
    expect([...known(source).unread.keys()]).toEqual(["hung"]);
  });

  it("is seen as soon as Docker describes it", async () => {
    const slow = runs("slow", { sick: "hangs" });
    const source = observe();
    await advance(5000);
    expect(names(source)).toEqual([]);
    slow.sick = false;
    await advance(40_000);
    expect(names(source)).toEqual(["slow"]);
    expect(known(source).unread.size).toBe(0);
  });

  it("is no reason to show less than all while a slow Docker goes on answering", async () => {
    docker.daemon.slow = 1500;
    for (let each = 0; each < 100; each += 1) runs(`c${each}`);
    const source = observe();
    const seen: number[] = [];
    source.subscribe(() => seen.push(names(source).length));
    await advance(30_000);
    expect(seen).toEqual([100]);
  });
});

describe("a container that Docker fails to describe", () => {
  it("is asked about again within a second when that happened once (R2)", async () => {
    runs("a", { sick: "once" });
    const source = observe();
    await advance(1500);
    expect(names(source)).toEqual(["a"]);
    expect(known(source).unread.size).toBe(0);
  });

  it("also when it is new", async () => {
    const source = observe();
    await advance(1000);
    start(runs("a", { sick: "once" }));
    await advance(1500);
    expect(names(source)).toEqual(["a"]);
  });

  it("is asked about ever less often, and every half a minute in the end", async () => {
    const sick = runs("a", { sick: "fails" });
    const source = observe();
    await advance(600_000);
    const asked = docker.inspects.length;
    expect(asked).toBeGreaterThan(20);
    expect(asked).toBeLessThan(100);
    sick.sick = false;
    await advance(31_000);
    expect(names(source)).toEqual(["a"]);
    docker.inspects.length = 0;
    await advance(600_000);
    expect(docker.inspects).toEqual([]);
  });

  it("is not asked about any more after the end, nor by a connection that is over (B4)", async () => {
    runs("a", { sick: "hangs" });
    runs("b", { sick: "fails" });
    const source = observe();
    await advance(5000);
    docker.inspects.length = 0;
    docker.cut();
    await advance(100_000);
    const once = docker.inspects.length;
    for (let round = 0; round < 5; round += 1) docker.cut();
    await finish(source.close());
    docker.inspects.length = 0;
    await advance(100_000);
    expect(once).toBeLessThan(30);
    expect(docker.inspects).toEqual([]);
  });

  it("is asked again although a signal reaches it meanwhile", async () => {
    const one = runs("a");
    const source = observe();
    await advance(1000);
    one.sick = "once";
    one.paused = true;
    docker.emit("once", "pause", "a");
    await advance(0);
    docker.emit("once", "kill", "a", { signal: "1" });
    await advance(2000);
    expect([...known(source).containers.values()].map(({ paused }) => paused)).toEqual([true]);
  });
});

it("reads a container again whose end of long ago is told while it is read (R2)", async () => {
  runs("a");
  docker.daemon.slow = 200;
  const source = observe();
  for (let ms = 0; ms < 5000 && docker.inspects.length === 0; ms += 1) await advance(1);
  docker.daemon.clock -= 100;
  docker.emit("once", "die", "a", { exitCode: "1" });
  docker.daemon.clock += 100;
  await advance(1000);
  expect(names(source)).toEqual(["a"]);
});

it("knows of a drain that it was told of while Docker was away", async () => {
  runs("a", {}, 10_000);
  const source = observe();
  await advance(1000);
  docker.crash();
  await advance(100);
  source.recall([{ id: "a", draining: true }]);
  docker.daemon.up = true;
  await advance(3000);
  expect([...known(source).containers.values()].map(({ stopping }) => stopping)).toEqual([true]);
});

describe("a container that crashed again and again", () => {
  it("counts as running at once when it fails once more after a long life whose end was lost (R2)", async () => {
    const one = runs("a", { running: false });
    const source = observe();
    await crashLoop(one);
    await advance(70_000);
    expect(names(source)).toEqual(["a"]);
    die(one, 1, "never");
    start(one);
    await advance(500);
    expect(names(source)).toEqual(["a"]);
  });

  it("also when its start was lost, too, and when it was found ended", async () => {
    const one = runs("a", { running: false });
    const source = observe();
    await crashLoop(one);
    await advance(70_000);
    die(one, 1, "never");
    start(one, "never");
    one.hostPort += 1;
    source.refresh();
    await advance(500);
    expect(names(source)).toEqual(["a"]);
    await advance(70_000);
    die(one, 1, "never");
    source.refresh();
    await advance(500);
    expect(names(source)).toEqual([]);
    start(one);
    await advance(500);
    expect(names(source)).toEqual(["a"]);
  });

  it("leaves its record where the policy keeps it, for one who begins to look in the meantime (R10)", async () => {
    const one = runs("a", { running: false });
    await crashLoop(one);
    const source = observe((exitCode) => exitCode === 1);
    await advance(1000);
    expect(names(source)).toEqual([]);
    expect([...known(source).crashing.keys()]).toEqual(["a"]);
    expect([...known(source).ended]).toEqual([["a", true]]);
    await advance(10_000);
    expect(names(source)).toEqual(["a"]);
    expect(known(source).ended.size).toBe(0);
  });

  it("is known as such by the first answer, whether it runs at that moment or not", async () => {
    docker.daemon.slow = 500;
    const [one, other] = [runs("a", { running: false }), runs("b", { running: false })];
    await crashLoop(one);
    await crashLoop(other);
    die(other);
    other.restarting = true;
    const source = observe();
    const first = new Promise<Engine>((resolve) => source.subscribe(() => resolve(known(source))));
    await advance(5000);
    const { containers, crashing } = await first;
    expect([...containers.keys()]).toEqual([]);
    expect([...crashing.keys()].sort()).toEqual(["a", "b"]);
  });
});
