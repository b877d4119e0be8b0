import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Acknowledgement, decodeAcknowledgement, isIn, isOut } from "../../src/acknowledgement.ts";
import type { Backend, Notes } from "../../src/backends/backend.ts";
import { openMemory } from "../../src/backends/memory.ts";
import type { Daemon } from "../../src/daemon.ts";
import { PortolanError } from "../../src/errors.ts";
import type { Instance, State } from "../../src/instance.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { startTemplater } from "../../src/templater/index.ts";
import type { Target } from "../../src/templater/target.ts";
import { instance } from "../commands/registry-folder.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

const soon = { within: 10_000 };
const never = new AbortController().signal;
const ports = '{{#each (service "web")}}{{port}} {{/each}}';
const ref = { service: "web", id: "a" };
const web = (state: State = "ready", port = 80): Instance => instance("web", port, { id: "a", state });

/** A registry in memory, and who writes to it. */
async function registry() {
  const backend = await openMemory();
  const lease = backend.lease({ node: "host1", engine: "ENGINE", run: "r" }, 15);
  await lease.renew(never);
  const notes = backend.notes?.("templaters") as Notes;
  return {
    backend,
    put: (one: Instance) => lease.register(one, never),
    /** Every note by its name. */
    async notes(): Promise<ReadonlyMap<string, Acknowledgement>> {
      const texts = await notes.list(never);
      return new Map([...texts].map(([name, text]) => [name, decodeAcknowledgement(text, name)]));
    },
  };
}

/** A templater with `out-N.txt` for each template. */
async function templater(
  backend: Backend,
  templates: readonly string[],
  changes: (dir: string, index: number) => Partial<Target> = () => ({}),
  dir = tempDir("acknowledge"),
) {
  const targets = templates.map((text, index): Target => {
    const source = join(dir, `out-${index}.hbs`);
    writeFileSync(source, text);
    return {
      source,
      destination: join(dir, `out-${index}.txt`),
      reload: { kind: "none" },
      commandTimeout: 10_000,
      wait: { min: 5, max: 100 },
      minInterval: 0,
      ...changes(dir, index),
    };
  });
  const state = await openStateDir(join(dir, "state"));
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  let restarting = false;
  const daemon = startTemplater({
    backend,
    targets,
    state,
    env: {},
    node: "lb1",
    log,
    restarting: () => restarting,
  });
  let isEnded = false;
  const end = async (restart = false) => {
    if (isEnded) return;
    isEnded = true;
    restarting = restart;
    await daemon.stop();
    await state.close();
  };
  onTestFinished(() => end());
  return { dir, daemon, end };
}

const live = (dir: string, index = 0) => {
  const path = join(dir, `out-${index}.txt`);
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
};

const acknowledgementOf = (daemon: Daemon) =>
  (daemon.status() as { acknowledgement?: { name?: string; problem?: string } }).acknowledgement;

describe("a templater's note", () => {
  it("tells what was applied, at once, and goes with the templater", async () => {
    const { backend, put, notes } = await registry();
    const { daemon, end } = await templater(backend, [ports]);
    await put(web());
    const applied = async (look: (note: Acknowledgement) => boolean) => {
      const [note] = [...(await notes()).values()];
      return note !== undefined && look(note);
    };
    await waitFor("the instance", () => applied((note) => isIn(note, ref)), soon);
    const start = performance.now();
    await put(web("draining"));
    await waitFor("the drain", () => applied((note) => isOut(note, ref, true)), soon);
    // The note is renewed every 5 s anyway.
    expect(performance.now() - start).toBeLessThan(4_500);
    const [[name, note] = []] = [...(await notes())];
    expect(name).toMatch(/^lb1:[0-9a-f]{8}$/);
    expect(acknowledgementOf(daemon)).toEqual({ name });
    expect(note).toMatchObject({ node: "lb1", services: ["web"] });
    expect(note?.applied.get("web")).toEqual({ ids: ["a"], notReady: ["a"], draining: ["a"], partly: [] });
    await end();
    expect(await notes()).toEqual(new Map());
  });

  it("has one name over restarts and another for each templater of a host; it stays while one is started anew", async () => {
    const { backend, notes } = await registry();
    const first = await templater(backend, [ports]);
    await templater(backend, [ports]);
    await waitFor("both notes", async () => (await notes()).size === 2, soon);
    const name = acknowledgementOf(first.daemon)?.name;
    await first.end(true);
    expect([...(await notes()).keys()]).toContain(name);
    const again = await templater(backend, [ports], undefined, first.dir);
    await waitFor("its name", () => acknowledgementOf(again.daemon)?.name, soon);
    expect(acknowledgementOf(again.daemon)?.name).toBe(name);
  });

  it("says of a service only what every target that reads it has applied", async () => {
    const { backend, put, notes } = await registry();
    await put(web());
    const refuse = join(tempDir("refuse"), "refuse");
    const { dir } = await templater(backend, [ports, ports], (_dir, index) =>
      index === 1 ? { check: { shell: `! [ -e ${refuse} ]` } } : {},
    );
    const now = async () => [...(await notes()).values()][0];
    const seen = async () => (await now())?.applied.get("web");
    await waitFor("both", async () => (await seen())?.ids.length === 1, soon);
    writeFileSync(refuse, "");
    await put(web("draining"));
    await waitFor("the first", () => live(dir, 0) === "", soon);
    await waitFor("what differs", async () => (await seen())?.partly.length === 1, soon);
    expect(isOut((await now()) as Acknowledgement, ref, true)).toBe(false);
  });

  it("does not offer a service whose file somebody else has written", async () => {
    const { backend, put, notes } = await registry();
    await put(web());
    const folder = tempDir("conf.d");
    writeFileSync(join(folder, "web.conf"), "by hand");
    const { daemon } = await templater(backend, ["{{name}}"], () => ({
      destination: join(folder, "{{name}}.conf"),
      forEach: {},
    }));
    const seen = async () => [...(await notes()).values()][0]?.applied.get("web");
    await waitFor("what was applied", async () => (await seen())?.ids.length === 1, soon);
    expect(await seen()).toMatchObject({ notReady: ["a"], draining: [] });
    // What is in no file is out, though it is ready; it never comes in.
    const [note] = [...(await notes()).values()];
    expect(note && [isIn(note, ref), isOut(note, ref, false)]).toEqual([false, true]);
    rmSync(join(folder, "web.conf"));
    daemon.refresh();
    await waitFor("the service", async () => (await seen())?.notReady.length === 0, soon);
    expect(readFileSync(join(folder, "web.conf"), "utf8")).toBe("web");
  });

  it.each<[what: string, reload: Target["reload"]]>([
    ["was not reached", { kind: "signal", name: "SIGHUP", pidfile: "/nonexistent/pid" }],
    ["does not run", { kind: "haproxy", socket: "/nonexistent/admin.sock" }],
  ])("says nothing of what a proxy has still to take that %s", async (_what, reload) => {
    const { backend, put, notes } = await registry();
    await put(web());
    const { dir } = await templater(backend, [ports], () => ({ reload }));
    await waitFor("the file", () => live(dir) === "80 ", soon);
    await put(web("draining"));
    await waitFor("the next file", () => live(dir) === "", soon);
    const [note] = [...(await notes()).values()];
    expect(note?.applied).toEqual(new Map());
    expect(note && isOut(note, ref, true)).toBe(false);
  });

  it("T7: tells what a proxy has taken late, also while what came after it is refused", async () => {
    const { backend, put, notes } = await registry();
    await put(web());
    const place = tempDir("late");
    const [pidfile, refuse, reloads] = ["pid", "refuse", "reloads"].map((name) => join(place, name));
    const { dir, daemon } = await templater(backend, [ports], () => ({
      check: { shell: `! [ -e ${refuse} ]` },
      reload: { kind: "signal", name: "SIGHUP", pidfile: pidfile ?? "" },
    }));
    await waitFor("the file", () => live(dir) === "80 ", soon);
    writeFileSync(refuse ?? "", "");
    await put(web("draining"));
    await waitFor("the refusal", () => daemon.notReady().join().includes("CHECK_FAILED"), soon);
    const seen = async () => [...(await notes()).values()][0];
    expect((await seen())?.applied).toEqual(new Map());
    const proxy = spawn("sh", ["-c", `trap 'echo >> ${reloads}' HUP; while :; do sleep 0.1; done`]);
    onTestFinished(() => void proxy.kill());
    await once(proxy, "spawn");
    writeFileSync(pidfile ?? "", String(proxy.pid));
    // Nothing but a retry of what is refused finds the proxy.
    const isTold = async () => {
      const note = await seen();
      return note !== undefined && isIn(note, ref) && !isOut(note, ref, true);
    };
    await waitFor("what it has taken", isTold, { within: 60_000 });
    await waitFor("the reload", () => existsSync(reloads ?? ""), soon);
    expect(live(dir)).toBe("80 ");
    expect(daemon.notReady().join()).toContain("CHECK_FAILED");
  });

  it("is not written again while nothing that it says has changed", async () => {
    const { backend, put } = await registry();
    await put(web());
    const texts: string[] = [];
    const counted = counting(backend, async (text) => void texts.push(text));
    const { dir } = await templater(counted, [ports]);
    await waitFor("the file", () => live(dir) === "80 ", soon);
    await waitFor("the note", () => texts.some((text) => text.includes('["a"]')), soon);
    const before = texts.length;
    for (const port of [81, 82, 83]) {
      await put(web("ready", port));
      await waitFor("the change", () => live(dir) === `${port} `, soon);
    }
    await put(web("draining", 83));
    await waitFor("the drain", () => texts.at(-1)?.includes('"notReady":["a"]'), soon);
    expect(texts.length).toBe(before + 1);
  });

  it("that cannot be written disturbs nothing and shows in the status", async () => {
    const { backend, put } = await registry();
    const failing = counting(backend, async () => {
      throw new PortolanError("BACKEND_DENIED", "no right to write templaters/");
    });
    const { dir, daemon } = await templater(failing, [ports]);
    await put(web());
    await waitFor("the file", () => live(dir) === "80 ", soon);
    await waitFor("the reason", () => acknowledgementOf(daemon)?.problem, soon);
    expect(acknowledgementOf(daemon)?.problem).toBe("no right to write templaters/");
    await waitFor("readiness", () => daemon.notReady().length === 0, soon);
  });
});

/** The backend, with `renewed` called before each renewal of a note. */
function counting(backend: Backend, renewed: (text: string) => Promise<void>): Backend {
  const notes = backend.notes;
  if (!notes) throw new Error("a backend without notes");
  return {
    ...backend,
    notes: (area) => {
      const kept = notes(area);
      return {
        ...kept,
        hold(name, ttl) {
          const note = kept.hold(name, ttl);
          return {
            release: note.release,
            async renew(text, signal) {
              await renewed(text);
              return note.renew(text, signal);
            },
          };
        },
      };
    },
  };
}
