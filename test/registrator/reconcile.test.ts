import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Backend, Lease, Owner } from "../../src/backends/backend.ts";
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
    before: async (_call: string): Promise<void> => {},
    after: async (_call: string): Promise<void> => {},
  };
  const act = async <T>(name: string, work: () => T): Promise<T> => {
    calls.push(name);
    await script.before(name);
    const result = work();
    await script.after(name);
    return result;
  };
  const lease = (owner: Owner): Lease => ({
    renew: () =>
      act(`renew ${owner.node}`, () => {
        const { fresh } = script;
        script.fresh = false;
        return { ttl: script.ttl, fresh };
      }),
    register: (i) =>
      act(`register ${i.id}`, () => {
        records.set(refKey(i), i);
        return { leftOut: [] };
      }),
    deregister: (ref) => act(`deregister ${ref.id}`, () => void records.delete(refKey(ref))),
    owned: () =>
      act("owned", () =>
        [...records.values()].filter(
          (i) => i.owner === ownerText(owner) || (i.owner === undefined && script.adopts),
        ),
      ),
    release: () =>
      act(`release ${owner.node}`, () => {
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
  });

  it("owes no beat to a backend that lets nothing expire", async () => {
    store.script.ttl = 0;
    want(one("a"));
    start();
    await pass(120_000);
    expect(store.calls.filter((call) => call.startsWith("renew"))).toHaveLength(1);
  });
});
