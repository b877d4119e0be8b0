// Templaters of several hosts that take turns to reload: by a real store's locks, and by those of this process.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Backend, Lock } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import { openMemory } from "../../src/backends/memory.ts";
import type { DaemonStatus } from "../../src/daemon-status.ts";
import type { Fields, Log } from "../../src/log.ts";
import type { Meter } from "../../src/meter.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { startTemplater } from "../../src/templater/index.ts";
import { type Entry, readJournal } from "../../src/templater/journal.ts";
import type { HostTurns, Target } from "../../src/templater/target.ts";
import { type Etcd, startEtcd } from "../servers/etcd.ts";
import { startFaultProxy } from "../servers/proxy.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { endedWithTest } from "./ended.ts";

const never = new AbortController().signal;
const soon = { within: 60_000 };
const turns: HostTurns = { name: "edge", atMost: 1, wait: 120_000 };

let etcd: Etcd;
beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(() => etcd.stop());

/** A host: a templater with one target, whose reloads take `ms` and write down when they begin and end. */
async function host(
  backend: Backend,
  {
    node = "one",
    dir = tempDir("turns"),
    ms = 0,
    target = {} as Partial<Target>,
    log = join(dir, "log"),
  } = {},
) {
  const [source, destination] = [join(dir, "out.hbs"), join(dir, "out")];
  const state = await openStateDir(join(dir, "state"));
  const warnings: string[] = [];
  const counted: string[] = [];
  const quiet = () => {};
  const warn = ({ why }: Fields, message: string) => {
    if (message === "reloads without its turn") warnings.push(String(why));
  };
  const logs: Log = { debug: quiet, info: quiet, warn, error: quiet };
  const meter: Meter = {
    count(name, labels) {
      if (name === "reload_turns") counted.push(String(Object.values(labels).at(-1)));
    },
    time: quiet,
  };
  const edit = (text: string) => writeFileSync(source, text);
  if (!existsSync(source)) edit("first");
  const shell = `echo begin ${node} >> ${log}; sleep ${ms / 1000}; echo end ${node} $(cat ${destination}) >> ${log}`;
  const daemon = startTemplater({
    backend,
    targets: [
      {
        source,
        destination,
        reload: { kind: "command", command: { shell } },
        reloadTurns: turns,
        commandTimeout: 30_000,
        wait: { min: 5, max: 100 },
        minInterval: 0,
        ...target,
      },
    ],
    state,
    env: process.env,
    node,
    log: logs,
    meter,
  });
  const stop = endedWithTest(daemon, state);
  const entries = (): Promise<readonly Entry[]> => readJournal(state.path);
  return {
    dir,
    edit,
    stop,
    warnings,
    counted,
    live: () => (existsSync(destination) ? readFileSync(destination, "utf8") : undefined),
    owed: () => (daemon.status() as DaemonStatus).targets?.[0]?.owed,
    notReady: () => daemon.notReady().join(),
    entries,
    lines: () => (existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : []),
    /** Resolves with the entry of the last reload once the proxy has this text. */
    reloaded: (text: string) =>
      waitFor(
        `the reload of "${text}"`,
        async () => {
          const done = (await entries()).filter(({ verdict }) => /^(applied|reloaded)$/.test(verdict));
          const ends = readFileSync(log, "utf8").match(/^end .*/gm) ?? [];
          return done.length === ends.length && ends.at(-1) === `end ${node} ${text}` && done.at(-1);
        },
        soon,
      ),
  };
}

/** The first slot, held by somebody who does not beat. */
async function holder(backend: Backend, ttl = 60): Promise<Lock> {
  const lock = backend.lock?.("reload/edge/1", "other:17:uuid", ttl);
  if (lock === undefined) throw new Error("no locks");
  // Who had it before gives it back a moment after its reload.
  await waitFor("the slot", async () => (await lock.renew(never)).held, soon);
  return lock;
}

describe.each(["memory", "etcd"] as const)("reloads that take turns by %s", (name) => {
  let shared: Backend;
  beforeAll(async () => {
    shared = await openMemory();
  });
  /** The store as one host has it. */
  const open = async (): Promise<Backend> => {
    if (name === "memory") return shared;
    const backend = await openBackend(`${etcd.url.replace("http", "etcd")}/turns`, { env: {} });
    onTestFinished(backend.close);
    return backend;
  };

  it("never happen on two hosts at once, and all happen", async () => {
    const log = join(tempDir("turns"), "log");
    const hosts = await Promise.all(
      ["one", "two", "three"].map(async (node) => host(await open(), { node, ms: 150, log })),
    );
    const count = () => readFileSync(log, "utf8").split("end").length - 1;
    await waitFor("all reloads", () => count() === 3 && hosts.every((one) => one.notReady() === ""), soon);
    const words = readFileSync(log, "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split(" ").slice(0, 2));
    expect(words.map(([word]) => word)).toEqual(["begin", "end", "begin", "end", "begin", "end"]);
    for (const at of [0, 2, 4]) expect(words[at]?.[1]).toBe(words[at + 1]?.[1]);
    for (const { counted, warnings } of hosts) {
      expect(counted).toEqual(["taken"]);
      expect(warnings).toEqual([]);
    }
  });

  it("wait with the file in its place, say so, and reload the newest once", async () => {
    const backend = await open();
    const other = await holder(backend);
    const one = await host(await open());
    const reason = "waits for its turn to reload: of the hosts of edge, at most 1 at once";
    await waitFor("the reason", () => one.owed() === reason && one.notReady().includes(reason), soon);
    expect(one.live()).toBe("first");
    for (const [at, text] of ["second", "third"].entries()) {
      one.edit(text);
      await waitFor("the next wait", async () => (await one.entries()).length === at + 2, soon);
      expect(one.live()).toBe(text);
    }
    expect(one.lines()).toEqual([]);
    await other.release(never);
    const last = await one.reloaded("third");
    expect(last).toMatchObject({ verdict: "reloaded", by: "reload" });
    expect((await one.entries()).slice(0, -1).map(({ verdict, why }) => [verdict, why])).toEqual(
      Array(3).fill(["owed", reason]),
    );
    expect(one.lines()).toEqual(["begin one", "end one third"]);
    // It has been given back.
    await (await holder(backend)).release(never);
  });

  it("T7: are owed by a process that ends while it waits, at once, and happen in the next", async () => {
    const other = await holder(await open());
    const one = await host(await open());
    await waitFor("the wait", () => one.owed() !== undefined, soon);
    const began = performance.now();
    await one.stop();
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(one.lines()).toEqual([]);
    await other.release(never);
    const next = await host(await open(), { dir: one.dir });
    await next.reloaded("first");
    expect(next.lines()).toEqual(["begin one", "end one first"]);
  });

  it("T7: come also while what came after it is refused", async () => {
    const other = await holder(await open());
    const check = { shell: "! grep -q bad {{src}}" };
    const one = await host(await open(), { target: { check } });
    await waitFor("the wait", () => one.owed() !== undefined, soon);
    one.edit("bad");
    await waitFor("the refusal", () => one.notReady().includes("CHECK_FAILED"), soon);
    expect(one.lines()).toEqual([]);
    await other.release(never);
    await one.reloaded("first");
    expect(one.notReady()).toContain("CHECK_FAILED");
    one.edit("good");
    await one.reloaded("good");
  });

  it("are given back when a reload fails", async () => {
    const backend = await open();
    const command = { shell: "exit 3" };
    const one = await host(backend, { target: { reload: { kind: "command", command } } });
    await waitFor("the failure", () => one.notReady().includes("RELOAD_FAILED"), soon);
    await one.stop();
    await (await holder(backend)).release(never);
  });
});

describe("reloads that take turns by etcd", () => {
  let roots = 0;
  /** A registry of its own. */
  const urlAt = (port: number) => `etcd://127.0.0.1:${port}/alone-${++roots}`;

  it("go without where the store cannot be reached", async () => {
    const proxy = await startFaultProxy({ upstream: { port: etcd.port } });
    onTestFinished(proxy.stop);
    const backend = await openBackend(urlAt(proxy.port), { env: {} });
    onTestFinished(backend.close);
    const one = await host(backend, { target: { reloadTurns: { ...turns, wait: 1_000 } } });
    await one.reloaded("first");
    expect(one.counted).toEqual(["taken"]);
    proxy.refuse();
    one.edit("second");
    const last = await one.reloaded("second");
    expect(last.why).toBe(`without its turn: ${one.warnings[0]}`);
    expect(one.counted).toEqual(["taken", "unreached"]);
    expect(one.warnings).toHaveLength(1);
  });

  it("go without, and say so, when the turn does not come in time", async () => {
    const backend = await openBackend(urlAt(etcd.port), { env: {} });
    onTestFinished(backend.close);
    const other = await holder(backend);
    const one = await host(backend, { target: { reloadTurns: { ...turns, wait: 1_000 } } });
    const last = await one.reloaded("first");
    const why = "its turn did not come within 1 s; other has it";
    expect(last.why).toBe(`without its turn: ${why}`);
    expect(one.warnings).toEqual([why]);
    expect(one.counted).toEqual(["late"]);
    await other.release(never);
  });

  it("come after a holder that was killed, once its slot has run out", async () => {
    const backend = await openBackend(urlAt(etcd.port), { env: {} });
    onTestFinished(backend.close);
    await holder(backend, 2);
    const one = await host(backend);
    await one.reloaded("first");
    expect(one.counted).toEqual(["taken"]);
  });

  it("are for several hosts at once where that is said", async () => {
    const backend = await openBackend(urlAt(etcd.port), { env: {} });
    onTestFinished(backend.close);
    const other = await holder(backend);
    const one = await host(backend, { target: { reloadTurns: { ...turns, atMost: 2 } } });
    await one.reloaded("first");
    expect(one.counted).toEqual(["taken"]);
    await other.release(never);
  });
});

it("a backend without locks is a mistake that says the way out", async () => {
  const { lock: _, ...backend } = await openMemory();
  await expect(host(backend)).rejects.toMatchObject({
    code: "CONFIG",
    message: expect.stringContaining("leave reloadTurns out, or use consul://") as string,
  });
});
