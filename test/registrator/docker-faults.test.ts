import { getEventListeners } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, type TestContext, vi } from "vitest";
import { type Engine, observeDocker } from "../../src/registrator/docker/engine.ts";
import type { Source } from "../../src/source.ts";
import { eventually } from "../backends/contract/suite.ts";
import fc from "../property.ts";
import { waitFor } from "../servers/wait.ts";
import { type ScriptedDocker, startScriptedDocker } from "./scripted-docker.ts";

/** ms, as the registrator's settings have them. */
interface Times {
  readonly resync?: number;
  readonly stoppingFor?: number;
}
const observeAt = (url: string, { resync = 60_000, stoppingFor = 60_000 }: Times = {}): Source<Engine> =>
  observeDocker({
    url,
    env: {},
    resync,
    readable: () => false,
    stoppingFor: () => stoppingFor,
    keeps: () => false,
  });

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const web = (name: string, hostPort = 8080) => ({ name, running: true, hostPort });
/** Name, host port and what is special of each container. */
const view = (engine: Engine) =>
  [...engine.containers.values()]
    .map(
      (c) =>
        `${c.name}:${c.ports[0]?.bindings[0]?.port}${c.stopping ? " stopping" : ""}${c.paused ? " paused" : ""}`,
    )
    .sort();
const shows = (...expected: string[]) => {
  const sorted = JSON.stringify(expected.sort());
  return (engine: Engine) => JSON.stringify(view(engine)) === sorted;
};

describe("observeDocker", () => {
  let docker: ScriptedDocker;
  let source: Source<Engine> | undefined;
  beforeEach(async () => {
    docker = await startScriptedDocker();
  });
  afterEach(async () => {
    await source?.close();
    await docker.stop();
  });
  const observe = (times: Times = {}, url = docker.url) => {
    source = observeAt(url, times);
    return source;
  };

  it("shows no list in which a container is missing that was touched while it was read (R8)", async () => {
    docker.containers.set("a", web("a"));
    docker.containers.set("b", web("b"));
    let inspects = 0;
    docker.script.before = async (path) => {
      if (!path.includes("/containers/a/")) return;
      inspects += 1;
      if (inspects === 1) docker.emit("health_status: healthy", "a");
      await sleep(inspects === 1 ? 50 : 150);
    };
    const seen: string[][] = [];
    const observed = observe();
    observed.subscribe(() => {
      const now = observed.current();
      if (now.known) seen.push(view(now.value));
    });
    await eventually(observed, shows("a:8080", "b:8080"));
    await sleep(300);
    expect(seen.every((names) => names.includes("a:8080"))).toBe(true);
  });

  it("leaves nothing behind on the signal that lives as long as it, however often Docker is not there (B4)", async () => {
    const listened = new Set<AbortSignal>();
    const add = AbortSignal.prototype.addEventListener;
    const spy = vi.spyOn(AbortSignal.prototype, "addEventListener").mockImplementation(function (
      this: AbortSignal,
      ...args: Parameters<typeof add>
    ) {
      listened.add(this);
      return add.apply(this, args);
    } as typeof add);
    const observed = observe({}, `unix://${join(tmpdir(), "no-docker.sock")}`);
    await waitFor("a problem", () => observed.current().problem, { within: 15_000 });
    await sleep(2500);
    const most = Math.max(...[...listened].map((signal) => getEventListeners(signal, "abort").length));
    spy.mockRestore();
    expect(most).toBeLessThanOrEqual(2);
  });

  it("shows a container that survived its stop signal again, after a reconnect too", async () => {
    docker.containers.set("a", web("a"));
    const observed = observe({ stoppingFor: 1500 });
    await eventually(observed, shows("a:8080"));
    docker.emit("kill", "a", { signal: "15" });
    await eventually(observed, shows("a:8080 stopping"));
    docker.cut();
    const problem = await waitFor("a problem", () => observed.current().problem, {
      within: 15_000,
      every: 1,
    });
    expect(problem.error.message).toMatch(/^Docker at unix:\S+: the event stream (ended|broke off)/);
    await waitFor("no problem", () => !observed.current().problem, { within: 15_000 });
    await eventually(observed, shows("a:8080"), 10_000);
  });

  it("does not take a stop signal that is told late for one of this life", async () => {
    docker.containers.set("a", { ...web("a"), started: new Date(Date.now() - 1000).toISOString() });
    const observed = observe({ stoppingFor: 60_000 });
    await eventually(observed, shows("a:8080"));
    docker.emit("kill", "a", { signal: "15" }, 1, 5);
    docker.emit("kill", "a", { signal: "1" });
    docker.containers.set("b", web("b"));
    docker.emit("start", "b");
    await eventually(observed, shows("a:8080", "b:8080"));
  });

  it("shows a container that survived a stop signal from before the start again", async () => {
    docker.containers.set("a", web("a"));
    docker.emit("kill", "a", { signal: "15" });
    const observed = observe({ stoppingFor: 1000 });
    await eventually(observed, shows("a:8080 stopping"));
    await eventually(observed, shows("a:8080"), 10_000);
  });

  it("knows a drain from before its start, whatever signal came after the stop signal", async () => {
    docker.containers.set("a", web("a"));
    docker.emit("kill", "a", { signal: "15" });
    docker.emit("kill", "a", { signal: "1" });
    await eventually(observe(), shows("a:8080 stopping"));
  });

  it.each([
    ["SIGRTMIN+3", "37"],
    ["RTMAX-2", "62"],
    ["sigquit", "3"],
    ["12", "12"],
  ])("knows the stop signal %s", async (stopSignal, signal) => {
    docker.containers.set("a", { ...web("a"), stopSignal });
    const observed = observe();
    await eventually(observed, shows("a:8080"));
    docker.emit("kill", "a", { signal });
    await eventually(observed, shows("a:8080 stopping"));
  });

  it("tells of a drain although the clock was set back (B2)", async () => {
    docker.containers.set("a", web("a"));
    const observed = observe();
    await eventually(observed, shows("a:8080"));
    docker.script.clockOff = -3600;
    docker.emit("kill", "a", { signal: "15" });
    await eventually(observed, shows("a:8080 stopping"));
  });

  it("believes the end of a container before Docker describes it, and no older description (R1)", async () => {
    const a = web("a");
    docker.containers.set("a", a);
    const observed = observe();
    await eventually(observed, shows("a:8080"));
    const seen: string[][] = [];
    observed.subscribe(() => {
      const now = observed.current();
      if (now.known) seen.push(view(now.value));
    });
    // The first answer was computed while it ran and comes after its end, the second takes its time.
    const answers: (() => void)[] = [];
    docker.script.after = async (path) => {
      if (path.includes("/containers/a/")) await new Promise<void>((resolve) => answers.push(resolve));
    };
    docker.emit("rename", "a");
    await waitFor("a read", () => answers.length === 1, { within: 10_000, every: 1 });
    a.running = false;
    docker.emit("die", "a", { exitCode: "0" });
    await eventually(observed, shows());
    answers[0]?.();
    await waitFor("the read after the end", () => answers.length === 2, { within: 10_000, every: 1 });
    answers[1]?.();
    await sleep(100);
    expect(seen).toEqual([[]]);
  });

  it("takes no end of an earlier life for the end of this one (R2)", async () => {
    docker.containers.set("a", { ...web("a"), started: new Date().toISOString() });
    const observed = observe();
    await eventually(observed, shows("a:8080"));
    const seen: string[][] = [];
    observed.subscribe(() => {
      const now = observed.current();
      if (now.known) seen.push(view(now.value));
    });
    docker.emit("die", "a", {}, 1, 30);
    docker.containers.set("b", web("b"));
    docker.emit("start", "b");
    await eventually(observed, shows("a:8080", "b:8080"));
    expect(seen.every((names) => names.includes("a:8080"))).toBe(true);
  });

  it("does not ask about a container that joins a network before it starts", async () => {
    docker.containers.set("a", { ...web("a"), running: false });
    const observed = observe();
    await eventually(observed, shows());
    docker.emit("connect", "bridge", { container: "a" }, 1, 0, "network");
    const a = docker.containers.get("a");
    if (a) a.running = true;
    docker.emit("start", "a");
    await eventually(observed, shows("a:8080"));
    expect(docker.script.asked.filter((path) => path.includes("/containers/a/"))).toHaveLength(1);
  });

  it("asks once about a container that ended, although it leaves its network after that", async () => {
    const a = web("a");
    docker.containers.set("a", a);
    const observed = observe();
    await eventually(observed, shows("a:8080"));
    const asks = () => docker.script.asked.filter((path) => path.includes("/containers/a/")).length;
    const before = asks();
    let answer = () => {};
    docker.script.after = async (path) => {
      if (path.includes("/containers/a/")) await new Promise<void>((resolve) => (answer = resolve));
    };
    a.running = false;
    docker.emit("die", "a", { exitCode: "0" });
    docker.emit("disconnect", "bridge", { container: "a" }, 1, 0, "network");
    await eventually(observed, shows());
    await waitFor("the read", () => asks() > before, { within: 10_000, every: 1 });
    docker.containers.set("b", web("b"));
    docker.emit("start", "b");
    await eventually(observed, shows("b:8080"));
    answer();
    await sleep(100);
    expect(asks() - before).toBe(1);
  });

  it("finds a restart whose events were lost (R4)", async () => {
    docker.containers.set("a", web("a", 8080));
    const observed = observe({ resync: 300 });
    await eventually(observed, shows("a:8080"));
    docker.containers.set("a", web("a", 8081));
    await eventually(observed, shows("a:8081"));
  });

  it("does not lose a refresh that comes during a list", async () => {
    docker.containers.set("a", web("a"));
    const observed = observe();
    await eventually(observed, shows("a:8080"));
    let lists = 0;
    docker.script.after = async (path) => {
      if (!path.endsWith("/containers/json")) return;
      lists += 1;
      if (lists > 1) return;
      await sleep(100);
    };
    observed.refresh();
    await waitFor("a list", () => lists === 1, { within: 10_000, every: 1 });
    docker.containers.set("b", web("b"));
    observed.refresh();
    await eventually(observed, shows("a:8080", "b:8080"));
  });

  it("takes no empty answer for an empty list (R8)", async () => {
    docker.containers.set("a", web("a"));
    docker.script.fault = (path) => (path.endsWith("/containers/json") ? "empty" : undefined);
    const observed = observe();
    await waitFor("a problem", () => observed.current().problem, { within: 15_000 });
    expect(observed.current().known).toBe(false);
  });

  it("asks about each container that a list lacks before it believes it, after a reconnect too (R8)", async () => {
    docker.containers.set("a", web("a"));
    const observed = observe({ resync: 300 });
    await eventually(observed, shows("a:8080"));
    const seen: string[][] = [];
    observed.subscribe(() => {
      const now = observed.current();
      if (now.known) seen.push(view(now.value));
    });
    const all = docker.containers.get("a");
    docker.script.before = async (path) => {
      if (path.endsWith("/containers/json")) docker.containers.delete("a");
    };
    docker.script.after = async (path) => {
      if (path.endsWith("/containers/json") && all) docker.containers.set("a", all);
    };
    const lists = () => docker.script.asked.filter((path) => path.endsWith("/containers/json")).length;
    const before = lists();
    docker.cut();
    await waitFor("some lists", () => lists() > before + 3 && seen.length > 0, { within: 20_000 });
    expect(seen.every((names) => names.includes("a:8080"))).toBe(true);
  });

  it("tells of a new host name", async () => {
    docker.containers.set("a", web("a"));
    const observed = observe();
    await eventually(observed, shows("a:8080"));
    docker.script.hostname = "host2";
    docker.cut();
    await eventually(observed, ({ hostname }) => hostname === "host2", 5000);
  });

  it("closes while Docker is silent", async () => {
    const observed = observe();
    await eventually(observed, shows());
    await observed.close();
    await waitFor("no streams", () => docker.streams() === 0, { within: 10_000 });
  });

  const id = fc.constantFrom("a", "b", "c");
  const step = fc.record({
    what: fc.constantFrom(
      "start",
      "die",
      "restart",
      "rename",
      "pause",
      "unpause",
      "kill",
      "cut",
      "exec_start",
    ),
    id,
    events: fc.constantFrom(0, 1, 1, 1, 3),
    late: fc.boolean(),
    wait: fc.constantFrom(0, 0, 1, 5, 20),
  });
  it("ends equal to the world after any order of changes, lost, late and doubled events and cuts (R4)", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), fc.integer(), async (steps, seed) => {
        docker.containers.clear();
        docker.forgetEvents();
        let random = seed >>> 0;
        const some = (of: number) => {
          random = (Math.imul(random, 1_664_525) + 1_013_904_223) >>> 0;
          return random % of;
        };
        docker.script.before = async () => void (some(3) === 0 && (await sleep(some(15))));
        docker.script.after = async () => void (some(3) === 0 && (await sleep(some(15))));
        const observed = observe({ resync: 100, stoppingFor: 150 });
        let port = 9000;
        const held: (() => void)[] = [];
        for (const { what, id, events, late, wait } of steps) {
          const now = docker.containers.get(id);
          const up = now?.running === true;
          const emit = (action: string, attributes?: Record<string, string>) => {
            if (events === 0) return;
            const send = () => docker.emit(action, id, attributes, events);
            if (late) held.push(send);
            else send();
          };
          if (what === "start" && !up) {
            docker.containers.set(id, { ...web(id), hostPort: ++port, started: new Date().toISOString() });
            emit("start");
          } else if (what === "die" && up) {
            now.running = false;
            emit("die");
          } else if (what === "restart" && up) {
            now.running = false;
            emit("die");
            docker.containers.set(id, { ...now, running: true, hostPort: ++port });
            emit("start");
          } else if (what === "rename" && up) {
            now.name = `${id}-${++port}`;
            emit("rename");
          } else if ((what === "pause" || what === "unpause") && up) {
            now.paused = what === "pause";
            emit(what);
          } else if (what === "kill" && up) emit("kill", { signal: some(2) === 0 ? "15" : "1" });
          else if (what === "cut") docker.cut();
          else emit("exec_start: x");
          if (wait > 0) await sleep(wait);
          if (some(4) === 0) held.pop()?.();
        }
        while (held.length > 0) held.pop()?.();
        const world = [...docker.containers.values()]
          .filter(({ running }) => running)
          .map((c) => `${c.name}:${c.hostPort}${c.paused ? " paused" : ""}`);
        await eventually(observed, shows(...world), 10_000);
        await observed.close();
      }),
      { numRuns: 25 },
    );
  }, 120_000);
});

// They mostly wait, until a call has taken too long: all of them at once, each with a Docker of its own.
describe.concurrent("observeDocker, in the long run", () => {
  const start = async ({ onTestFinished }: TestContext, times: Times = {}) => {
    const docker = await startScriptedDocker();
    onTestFinished(docker.stop);
    const observe = () => {
      const source = observeAt(docker.url, times);
      onTestFinished(source.close);
      return source;
    };
    return { docker, observe };
  };

  it("comes back within two seconds however often it was cut before (R2)", async (context) => {
    const { docker, observe } = await start(context);
    docker.containers.set("a", web("a"));
    const observed = observe();
    await eventually(observed, shows("a:8080"));
    const took: number[] = [];
    for (let round = 0; round < 12; round += 1) {
      docker.cut();
      await waitFor("a problem", () => observed.current().problem, { within: 15_000, every: 1 });
      const since = performance.now();
      await waitFor("no problem", () => !observed.current().problem, { within: 15_000, every: 5 });
      took.push(performance.now() - since);
    }
    // Pauses that grow would be longer in most rounds; a busy machine is slow in some.
    expect(took.filter((ms) => ms > 2500).length, `${took.map(Math.round)}`).toBeLessThan(6);
  });

  it("gives up on an answer that ends in the middle", async (context) => {
    const { docker, observe } = await start(context);
    docker.containers.set("a", web("a"));
    docker.script.fault = (path) => (path.endsWith("/containers/json") ? "cut" : undefined);
    const observed = observe();
    await waitFor("a problem", () => observed.current().problem, { within: 15_000 });
    docker.script.fault = () => undefined;
    await eventually(observed, shows("a:8080"), 15_000);
  });

  it.for(["hang", "error"] as const)(
    "keeps one container that cannot be read apart: %s",
    async (fault, context) => {
      const { docker, observe } = await start(context, { resync: 500 });
      docker.containers.set("sick", web("sick"));
      docker.containers.set("a", web("a"));
      const observed = observe();
      await eventually(observed, shows("a:8080", "sick:8080"));
      docker.script.fault = (path) => (path.includes("/containers/sick/") ? fault : undefined);
      docker.emit("update", "sick");
      await sleep(11_000);
      docker.containers.set("b", web("b"));
      docker.emit("start", "b");
      const now = await eventually(observed, shows("a:8080", "b:8080", "sick:8080"), 10_000);
      expect([...now.unread.keys()]).toEqual(["sick"]);
      docker.script.fault = () => undefined;
      await eventually(observed, ({ unread }) => unread.size === 0, 15_000);
    },
  );
});
