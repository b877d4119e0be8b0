import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Backend, Lease } from "../../src/backends/backend.ts";
import { ownerText } from "../../src/backends/backend.ts";
import { PortolanError } from "../../src/errors.ts";
import { type Instance, refKey } from "../../src/instance.ts";
import type { Log } from "../../src/log.ts";
import { type Reconciler, reconcile, type Wish } from "../../src/registrator/reconcile.ts";
import { someInstance, someOwner } from "../backends/contract/suite.ts";

const unreachable = () => new PortolanError("BACKEND_UNREACHABLE", "down");
const lost = () => new PortolanError("LEASE_LOST", "gone");

/** A store in which each call can be made to fail, late or early. */
function scripted() {
  const records = new Map<string, Instance>();
  const calls: string[] = [];
  const script = {
    fresh: true,
    ttl: 15,
    /** Records without an owner are adopted. */
    adopts: false,
    /** Called before and after each call takes effect. */
    before: async (_call: string, _signal: AbortSignal): Promise<void> => {},
    after: async (_call: string, _signal: AbortSignal): Promise<void> => {},
  };
  const act = async <T>(name: string, signal: AbortSignal, work: () => T): Promise<T> => {
    calls.push(name);
    await script.before(name, signal);
    if (signal.aborted) throw new PortolanError("ABORTED", "aborted");
    const result = work();
    await script.after(name, signal);
    return result;
  };
  const lease: Backend["lease"] = (owner, _ttl, { inherits } = {}): Lease => ({
    renew: (signal) =>
      act(`renew ${owner.node}`, signal, () => {
        for (const [key, i] of records) {
          if (i.owner === inherits && inherits !== undefined)
            records.set(key, { ...i, owner: ownerText(owner) });
        }
        const { fresh } = script;
        script.fresh = false;
        return { ttl: script.ttl, fresh };
      }),
    register: (i, signal) =>
      act(`register ${i.id}`, signal, () => {
        records.set(refKey(i), i);
        return { leftOut: [] };
      }),
    deregister: (ref, signal) => act(`deregister ${ref.id}`, signal, () => void records.delete(refKey(ref))),
    owned: (signal) =>
      act("owned", signal, () =>
        [...records.values()].filter(
          (i) => i.owner === ownerText(owner) || (i.owner === undefined && script.adopts),
        ),
      ),
    release: (signal) =>
      act(`release ${owner.node}`, signal, () => {
        for (const [key, i] of records) if (i.owner === ownerText(owner)) records.delete(key);
      }),
  });
  const backend: Backend = {
    title: "scripted:",
    capabilities: { expiry: "lease", checks: false },
    observe: () => {
      throw new Error("not observed");
    },
    lease,
    close: async () => {},
  };
  return { records, calls, script, backend, ids: () => [...records.values()].map(({ id }) => id).sort() };
}

describe("reconcile", () => {
  const owner = someOwner({ node: "h" });
  const one = (id: string, over: Partial<Instance> = {}) => someInstance(owner, { id, ...over });
  let store: ReturnType<typeof scripted>;
  let wish: Wish | undefined;
  let running: Reconciler;
  const lines: string[] = [];
  const recalled: string[] = [];
  const log = new Proxy({} as Log, {
    get: (_log, level) => (_fields: unknown, text: string) => void lines.push(`${String(level)} ${text}`),
  });
  const want = (...instances: Instance[]) => {
    wish = { owner, instances, fate: () => "gone" };
    running?.nudge();
  };
  const start = () => {
    running = reconcile({
      backend: store.backend,
      wish: () => wish,
      recall: (records) => void recalled.push(...records.map(({ id }) => id)),
      lease: {},
      ttlSeconds: 15,
      resync: 60_000,
      log,
      changed: () => {},
    });
    running.nudge();
  };
  const pass = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

  beforeEach(() => {
    vi.useFakeTimers();
    store = scripted();
    lines.length = 0;
    recalled.length = 0;
  });
  afterEach(async () => {
    store.script.before = async () => {};
    store.script.after = async () => {};
    const stopped = running.stop("keep");
    await pass(10_000);
    await stopped;
    vi.useRealTimers();
  });

  it("is ready again with the first beat that succeeds (B3)", async () => {
    want(one("a"));
    start();
    await pass(100);
    expect(running.notReady()).toBeUndefined();
    store.script.before = async (call) => {
      if (call.startsWith("renew")) throw unreachable();
    };
    await pass(6000);
    expect(running.notReady()).toContain("down");
    store.script.before = async () => {};
    await pass(5000);
    expect(running.notReady()).toBeUndefined();
  });

  it("shows no lease as held whose last heartbeat is older than its time to live", async () => {
    want(one("a"));
    start();
    await pass(100);
    expect(running.status().joined).toBe(true);
    store.script.before = async () => {
      throw unreachable();
    };
    await pass(10_000);
    expect(running.status().joined).toBe(true);
    await pass(15_000);
    expect(running.status().joined).toBe(false);
    store.script.before = async () => {};
    await pass(15_000);
    expect(running.status().joined).toBe(true);
  });

  it("is not ready while its heartbeat fails, even if writes succeed (B3)", async () => {
    want(one("a"));
    start();
    await pass(100);
    store.script.before = async (call) => {
      if (call.startsWith("renew")) throw unreachable();
    };
    await pass(6000);
    want(one("a"), one("b"));
    await pass(50);
    expect(store.ids()).toEqual(["a", "b"]);
    expect(running.notReady()).toContain("down");
  });

  it("tells of an outage once, whatever fails in it", async () => {
    want(one("a"));
    start();
    await pass(100);
    store.script.before = async (call) => {
      throw new PortolanError("BACKEND_UNREACHABLE", `down: ${call.split(" ")[0]}`);
    };
    want(one("a"), one("b"));
    await pass(60_000);
    expect(lines.filter((line) => line.startsWith("error")).length).toBeLessThanOrEqual(3);
  });

  it("tells of an outage once, though its errors take turns, and again when it comes back", async () => {
    start();
    want();
    await pass(100);
    let calls = 0;
    const fails = async () => {
      calls += 1;
      throw new PortolanError("BACKEND_UNREACHABLE", calls % 2 ? "no answer" : "another answer");
    };
    store.script.before = fails;
    await pass(30_000);
    expect(calls).toBeGreaterThan(5);
    const errors = () => lines.filter((line) => line.startsWith("error")).length;
    expect(errors()).toBe(2);
    store.script.before = async () => {};
    await pass(40_000);
    store.script.before = fails;
    await pass(30_000);
    expect(errors()).toBe(4);
  });

  it("names the backend once, and says what it cannot do yet", async () => {
    store.script.before = async () => {
      throw new PortolanError("NODE_TAKEN", "scripted:: node h belongs to another");
    };
    want(one("a"));
    start();
    await pass(100);
    expect(running.notReady()).toBe("NODE_TAKEN: scripted:: node h belongs to another");
    expect(lines).toContain("error nothing can be registered yet; trying again");
    store.script.before = async () => {};
    await pass(10_000);
    store.script.before = async () => {
      throw unreachable();
    };
    await pass(10_000);
    expect(running.notReady()).toBe("scripted:: BACKEND_UNREACHABLE: down");
    expect(lines).toContain("error no heartbeat; trying again");
  });

  it("reads again what was lost while it read (R5)", async () => {
    want(one("a"));
    start();
    await pass(100);
    store.script.after = async (call) => {
      if (call !== "owned") return;
      store.script.after = async () => {};
      await new Promise((resolve) => setTimeout(resolve, 6000));
    };
    // The answer is on its way when the store loses everything and the next beat tells so.
    running.refresh();
    await pass(10);
    store.records.clear();
    store.script.fresh = true;
    await pass(8000);
    expect(store.ids()).toEqual(["a"]);
  });

  it("removes what it wrote without hearing so (R1)", async () => {
    start();
    want();
    await pass(100);
    store.script.after = async (call) => {
      if (call.startsWith("register")) throw unreachable();
    };
    want(one("a"));
    await pass(50);
    expect(store.ids()).toEqual(["a"]);
    want();
    await pass(1000);
    expect(store.ids()).toEqual([]);
  });

  it("keeps what runs in a container that cannot be read (R8)", async () => {
    const sick = one("sick", { container: { id: "c1", name: "sick", image: "web" } });
    store.records.set(refKey(sick), sick);
    wish = { owner, instances: [one("a")], fate: () => "unread" };
    start();
    await pass(100);
    expect(store.ids()).toEqual(["a", "sick"]);
    want(one("a"));
    await pass(100);
    expect(store.ids()).toEqual(["a"]);
  });

  it("moves to another name of the host", async () => {
    want(one("a"));
    start();
    await pass(100);
    const renamed = { ...owner, node: "h2" };
    wish = { owner: renamed, instances: [someInstance(renamed, { id: "b" })], fate: () => "gone" };
    store.script.fresh = true;
    running.nudge();
    await pass(1000);
    expect(store.ids()).toEqual(["b"]);
    expect(store.calls).toContain("renew h2");
    expect(running.notReady()).toBeUndefined();
  });

  it("moves to another Docker of the host without a gap", async () => {
    want(one("a"), one("b"));
    start();
    await pass(100);
    const upgraded = { ...owner, engine: "ANOTHER" };
    store.script.fresh = true;
    store.script.after = async () => {
      expect(store.ids()).toContain("a");
    };
    let fails = true;
    store.script.before = async (call) => {
      if (call.startsWith("renew") && fails) throw unreachable();
    };
    wish = { owner: upgraded, instances: [someInstance(upgraded, { id: "a" })], fate: () => "gone" };
    running.nudge();
    await pass(1000);
    expect(store.ids()).toEqual(["a", "b"]);
    fails = false;
    await pass(10_000);
    expect([...store.records.values()].map(({ id, owner }) => `${id} ${owner}`)).toEqual([
      `a ${ownerText(upgraded)}`,
    ]);
    expect(store.calls.filter((call) => call === "deregister a")).toEqual([]);
    // The lease of before is given up once there is an heir to it.
    const releases = store.calls.flatMap((call, at) => (call.startsWith("release") ? at : []));
    expect(releases).toHaveLength(1);
    expect(store.calls[(releases[0] ?? 0) - 1]).toBe("renew h");
    expect(running.notReady()).toBeUndefined();
  });

  it("is the same owner as before when its Docker has another id for a moment only", async () => {
    want(one("a"));
    start();
    await pass(100);
    store.script.before = async (call) => {
      if (call.startsWith("renew")) throw unreachable();
    };
    wish = { owner: { ...owner, engine: "ANOTHER" }, instances: [], fate: () => "gone" };
    running.nudge();
    await pass(1000);
    store.script.before = async () => {};
    want(one("a"));
    await pass(2000);
    expect(store.ids()).toEqual(["a"]);
    expect(store.calls.filter((call) => call.startsWith("release"))).toEqual([]);
    expect(running.notReady()).toBeUndefined();
  });

  it("removes at its end what no heir has taken yet", async () => {
    want(one("a"));
    start();
    await pass(100);
    store.script.before = async (call) => {
      if (call.startsWith("renew")) throw unreachable();
    };
    wish = { owner: { ...owner, engine: "ANOTHER" }, instances: [], fate: () => "gone" };
    running.nudge();
    await pass(1000);
    const stopped = running.stop("deregister");
    await pass(5000);
    await stopped;
    expect(store.ids()).toEqual([]);
  });

  it("asks an unreachable store for one thing at a time, not for every record", async () => {
    start();
    want();
    await pass(100);
    store.calls.length = 0;
    store.script.before = async () => {
      throw unreachable();
    };
    want(...Array.from({ length: 500 }, (_, at) => one(`i${at}`)));
    await pass(50);
    expect(store.calls.length).toBeLessThanOrEqual(16);
    await pass(10_000);
    expect(store.calls.length).toBeLessThanOrEqual(60);
  });

  it("writes at once when a beat shows that the store is back", async () => {
    start();
    want();
    await pass(100);
    store.script.before = async () => {
      throw unreachable();
    };
    want(one("a"));
    await pass(120_000);
    store.script.before = async () => {};
    await pass(5000);
    expect(store.ids()).toEqual(["a"]);
  });

  it("takes the lease again when a write finds it gone", async () => {
    want(one("a"));
    start();
    await pass(100);
    let failures = 0;
    store.script.before = async (call) => {
      if (!call.startsWith("register") || failures > 0) return;
      failures += 1;
      store.records.clear();
      store.script.fresh = true;
      throw lost();
    };
    want(one("a"), one("b"));
    await pass(1000);
    expect(store.ids()).toEqual(["a", "b"]);
  });

  it("yields to a newer run without hammering", async () => {
    start();
    want(one("a"));
    await pass(100);
    store.calls.length = 0;
    store.script.before = async (call) => {
      if (call.startsWith("renew")) throw new PortolanError("SUPERSEDED", "a newer run");
      throw lost();
    };
    for (let at = 0; at < 60; at += 1) {
      want(one(`i${at}`));
      await pass(1000);
    }
    expect(store.calls.length).toBeLessThan(60 * 4);
    expect(running.notReady()).toContain("SUPERSEDED");
  });

  it("finishes the write in hand when it is stopped, and begins no other", async () => {
    want(...Array.from({ length: 40 }, (_, at) => one(`i${at}`)));
    store.script.before = (call) =>
      call.startsWith("register") ? new Promise((resolve) => setTimeout(resolve, 1000)) : Promise.resolve();
    start();
    await pass(500);
    const stopped = running.stop("deregister");
    await pass(5000);
    await stopped;
    expect(store.calls.filter((call) => call.startsWith("register")).length).toBe(16);
    expect(store.calls.at(-1)).toBe("release h");
    expect(store.ids()).toEqual([]);
  });

  it("writes a drain before the rest of a long batch (R7)", async () => {
    want(one("web"));
    start();
    await pass(100);
    store.script.before = (call) =>
      call.startsWith("register") ? new Promise((resolve) => setTimeout(resolve, 100)) : Promise.resolve();
    const batch = Array.from({ length: 320 }, (_, at) => one(`i${at}`));
    want(...batch, one("web"));
    await pass(150);
    want(...batch, one("web", { state: "draining" }));
    await pass(250);
    expect([...store.records.values()].find(({ id }) => id === "web")?.state).toBe("draining");
  });

  it("lets no write wait for one that hangs, and mends that one when it ends", async () => {
    want(one("a"));
    start();
    await pass(100);
    let hangs = true;
    store.script.before = async (call) => {
      if (!call.endsWith(" sick") || !hangs) return;
      await new Promise((resolve) => setTimeout(resolve, 5000));
      hangs = false;
      throw unreachable();
    };
    want(one("a"), one("sick"));
    await pass(50);
    want(one("a"), one("sick"), one("b"));
    await pass(250);
    expect(store.ids()).toEqual(["a", "b"]);
    want(one("sick"), one("b", { state: "draining" }));
    await pass(250);
    expect([...store.records.values()].map(({ id, state }) => `${id} ${state}`)).toEqual(["b draining"]);
    await pass(6000);
    expect(store.ids()).toEqual(["b", "sick"]);
    expect(running.notReady()).toBeUndefined();
  });

  it("offers no address under a new name before a hung removal of the old one has ended", async () => {
    const container = { id: "c1", name: "web", image: "web" };
    want(one("old", { container }));
    start();
    await pass(100);
    store.script.before = async (call) => {
      if (call === "deregister old") await new Promise((resolve) => setTimeout(resolve, 2000));
    };
    want(one("new", { container }), one("other", { port: 9999 }));
    await pass(500);
    expect(store.ids()).toEqual(["old", "other"]);
    await pass(2000);
    expect(store.ids()).toEqual(["new", "other"]);
  });

  it("offers no address under a new name when the removal of the old one has failed, and goes on with the rest", async () => {
    const container = { id: "c1", name: "web", image: "web" };
    want(one("old", { container }));
    start();
    await pass(100);
    let fails = true;
    store.script.before = async (call) => {
      if (call === "deregister old" && fails) throw unreachable();
    };
    want(one("new", { container }), one("other", { port: 9999 }));
    await pass(3000);
    expect(store.ids()).toEqual(["old", "other"]);
    expect(running.notReady()).toContain("down");
    fails = false;
    await pass(10_000);
    expect(store.ids()).toEqual(["new", "other"]);
    expect(running.notReady()).toBeUndefined();
  });

  it("offers it where the removal of the old one was refused: that may last for ever", async () => {
    const container = { id: "c1", name: "web", image: "web" };
    want(one("old", { container }));
    start();
    await pass(100);
    store.script.before = async (call) => {
      if (call === "deregister old") throw new PortolanError("BACKEND_DENIED", "no right to do so");
    };
    want(one("new", { container }));
    await pass(1000);
    expect(store.ids()).toEqual(["new", "old"]);
    expect(running.notReady()).toContain("no right");
  });

  it("begins no registration when it is stopped during a removal", async () => {
    want(one("old"));
    start();
    await pass(100);
    store.script.before = async (call) => {
      if (call === "deregister old") await new Promise((resolve) => setTimeout(resolve, 60));
    };
    want(...Array.from({ length: 5 }, (_, at) => one(`i${at}`, { port: 1000 + at })));
    await pass(20);
    const stopped = running.stop("keep");
    await pass(1000);
    await stopped;
    expect(store.ids()).toEqual([]);
  });

  it("removes everything at its end though a write hangs", async () => {
    want(one("a"));
    start();
    await pass(100);
    store.script.before = async (call, signal) => {
      if (call !== "register sick") return;
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    };
    want(one("a"), one("sick"));
    await pass(500);
    let isStopped = false;
    const stopped = running.stop("deregister").then(() => {
      isStopped = true;
    });
    await pass(4000);
    expect(isStopped).toBe(true);
    await stopped;
    expect(store.ids()).toEqual([]);
  });

  it("asks anew as long as nobody can tell what it should hold, with no other cause", async () => {
    wish = undefined;
    start();
    await pass(100);
    expect(running.notReady()).toContain("not known yet");
    wish = { owner, instances: [one("a")], fate: () => "gone" };
    await pass(2000);
    expect(store.ids()).toEqual(["a"]);
    expect(running.notReady()).toBeUndefined();
  });

  it("asks about containers of which nobody knows, and leaves their records until then", async () => {
    const left = one("left", { container: { id: "c1", name: "left", image: "web" } });
    store.records.set(refKey(left), left);
    wish = { owner, instances: [one("a")], fate: () => "unknown" };
    start();
    await pass(100);
    expect(store.ids()).toEqual(["a", "left"]);
    expect(recalled).toContain("left");
    expect(running.notReady()).toBeDefined();
    want(one("a"));
    await pass(100);
    expect(store.ids()).toEqual(["a"]);
    expect(running.notReady()).toBeUndefined();
  });

  it("registers without checks where nothing is checked, once, and says so once for each instance", async () => {
    const checked = one("a", { checks: { http: "/health" } });
    want(checked);
    start();
    await pass(100);
    expect([...store.records.values()][0]?.checks).toBeUndefined();
    store.calls.length = 0;
    for (let round = 0; round < 3; round += 1) {
      want({ ...checked });
      running.refresh();
      await pass(1000);
    }
    expect(store.calls.filter((call) => call.startsWith("register"))).toEqual([]);
    expect(lines.filter((line) => line.includes("without its checks"))).toHaveLength(1);
    // It is forgotten with the instance, and told again with the next one of that name.
    want();
    running.refresh();
    await pass(1000);
    want({ ...checked });
    await pass(1000);
    expect(lines.filter((line) => line.includes("without its checks"))).toHaveLength(2);
  });

  it("rewrites what it adopts and wants, removes what it adopts and does not want, and tells of each once", async () => {
    const { owner: _owner, container: _container, ...foreign } = one("a");
    store.records.set(refKey(foreign), foreign);
    store.records.set(refKey({ ...foreign, id: "b" }), { ...foreign, id: "b" });
    store.script.adopts = true;
    want(one("a"));
    start();
    await pass(100);
    running.refresh();
    await pass(100);
    expect([...store.records.values()].map(({ id, owner }) => `${id} ${owner}`)).toEqual([
      `a ${ownerText(owner)}`,
    ]);
    expect(lines.filter((line) => line.includes("adopted"))).toHaveLength(2);
    store.records.set(refKey({ ...foreign, id: "b" }), { ...foreign, id: "b" });
    running.refresh();
    await pass(100);
    expect(lines.filter((line) => line.includes("adopted"))).toHaveLength(3);
  });

  it("owes no beat to a backend that lets nothing expire", async () => {
    store.script.ttl = 0;
    want(one("a"));
    start();
    await pass(120_000);
    expect(store.calls.filter((call) => call.startsWith("renew"))).toHaveLength(1);
  });
});
