import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "tsup";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openStateDir } from "../../src/state-dir.ts";
import { install } from "../../src/templater/install.ts";
import { openRecords } from "../../src/templater/records.ts";
import type { Target } from "../../src/templater/target.ts";
import { tempDir } from "../servers/run.ts";
import type { ChildTask } from "./install-child.ts";
import type { FailpointTask } from "./install-failpoint.ts";
import { calm } from "./workspace.ts";

const bundle = tempDir("bundle");

beforeAll(async () => {
  const entry = ["install-child.ts", "install-failpoint.ts"].map((name) => join(import.meta.dirname, name));
  await build({ entry, outDir: bundle, format: "esm", config: false, silent: true, clean: false });
});

const texts = ["a", "b", "c"].map((version) => `server ${version}\n`.repeat(500));

/** A place to install to, and a proxy that is a copy of what it was reloaded with. */
function createPlace() {
  const dir = tempDir("crash");
  const folder = join(dir, "proxy");
  mkdirSync(folder);
  const running = join(dir, "running");
  const target: Target = {
    source: "/t.hbs",
    destination: join(folder, "proxy.cfg"),
    check: { argv: ["test", "-s", "{{src}}"] },
    reload: { kind: "command", command: { argv: ["cp", join(folder, "proxy.cfg"), running] } },
    commandTimeout: 10_000,
    wait: { min: 0, max: 0 },
    minInterval: 0,
  };
  return {
    folder,
    target,
    stateDir: join(dir, "state"),
    read: (what: "live" | "running") => readFileSync(what === "live" ? target.destination : running, "utf8"),
  };
}
type Place = ReturnType<typeof createPlace>;

const spawnChild = () =>
  spawn(process.execPath, [join(bundle, "install-child.js")], { stdio: ["pipe", "pipe", "inherit"] });
/** The next child starts up while the one before works. */
let next: ReturnType<typeof spawnChild> | undefined;
afterAll(() => void next?.kill("SIGKILL"));

/** Gives a child its task; resolves when it has ended by itself, or was killed `ms` after its first install began. */
async function runChild(place: Place, changes: Partial<Target>, count: number, ms?: number): Promise<void> {
  const task: ChildTask = { target: { ...place.target, ...changes }, stateDir: place.stateDir, texts, count };
  const child = next ?? spawnChild();
  next = spawnChild();
  const exit = once(child, "exit");
  child.stdin.end(JSON.stringify(task));
  await once(child.stdout, "data");
  if (ms !== undefined) {
    await sleep(ms);
    child.kill("SIGKILL");
  }
  const [code, signal] = await exit;
  expect([code, signal]).toEqual(ms === undefined ? [0, null] : [null, "SIGKILL"]);
}

it("T2: the file is whole after SIGKILL at any moment, and the next process clears up", async () => {
  const place = createPlace();
  const bare = { check: { argv: ["true"] }, reload: { kind: "none" } } as const;
  await runChild(place, bare, 1);
  let leftovers = 0;
  for (let i = 0; i < 40; i++) {
    await runChild(place, i % 2 ? bare : { reload: { kind: "none" } }, 1e9, Math.random() * 30);
    expect(texts).toContain(place.read("live"));
    leftovers += readdirSync(place.folder).length - 1;
  }
  expect(leftovers).toBeGreaterThan(0);
  await runChild(place, bare, 1);
  expect(readdirSync(place.folder)).toEqual(["proxy.cfg"]);
  expect(readdirSync(place.stateDir)).toEqual([
    "accepted.json",
    "backups",
    expect.stringMatching(/^lock\.\d+$/),
  ]);
}, 300_000);

it("T7: whatever was swapped in is reloaded, however often the process was killed in between", async () => {
  const place = createPlace();
  await runChild(place, {}, 1);
  const owed = { unchanged: 0, reloaded: 0 };
  // Both outcomes have to be seen, however the random moments fall.
  for (let i = 0; i < 10 || owed.unchanged === 0 || owed.reloaded === 0; i++) {
    for (let kills = 1 + (i % 3); kills > 0; kills--) await runChild(place, {}, 1e9, Math.random() * 30);
    const state = await openStateDir(place.stateDir);
    const { verdict } = await install({
      files: [{ text: place.read("live"), target: place.target }],
      turn: calm,
      records: await openRecords(state),
      revision: 0,
      changed: [],
      env: process.env,
      log: { warn: () => {} },
    });
    await state.close();
    expect(place.read("running")).toBe(place.read("live"));
    if (verdict !== "unchanged" && verdict !== "reloaded") throw new Error(`verdict ${verdict}`);
    owed[verdict] += 1;
  }
}, 300_000);

/** A group of three files with a make-believe proxy, which refuses files that say "bad". */
function createGroup() {
  const dir = tempDir("crash-group");
  const stateDir = join(dir, "state");
  const names = ["a", "b", "c"];
  for (const name of names) mkdirSync(join(dir, name));
  const paths = names.map((name) => join(dir, name, `${name}.cfg`));
  const running = names.map((name) => join(dir, `running.${name}`));
  const copies = paths.map((path, index) => `cp ${path} ${running[index]}`).join(" && ");
  const shell = `if grep -q bad ${paths.join(" ")}; then exit 1; fi; ${copies}`;
  const files = (text: string): FailpointTask["files"] =>
    paths.map((destination) => ({
      text,
      target: {
        source: "/t.hbs",
        destination,
        group: "lb",
        check: { argv: ["test", "-s", "{{src}}"] },
        reload: { kind: "command", command: { shell } },
        commandTimeout: 10_000,
        wait: { min: 0, max: 0 },
        minInterval: 0,
      },
    }));
  const read = (all: readonly string[]) => all.map((path) => readFileSync(path, "utf8"));
  return {
    files,
    stateDir,
    live: () => read(paths),
    running: () => read(running),
    left: () => names.flatMap((name) => readdirSync(join(dir, name))),
  };
}

let nextFailpoint: ReturnType<typeof spawnFailpoint> | undefined;
const spawnFailpoint = () =>
  spawn(process.execPath, [join(bundle, "install-failpoint.js")], { stdio: ["pipe", "inherit", "inherit"] });
afterAll(() => void nextFailpoint?.kill("SIGKILL"));

/** True when the child died at its step, false when it had fewer. */
async function runFailpoint(task: FailpointTask): Promise<boolean> {
  const child = nextFailpoint ?? spawnFailpoint();
  nextFailpoint = spawnFailpoint();
  const exit = once(child, "exit");
  child.stdin.end(JSON.stringify(task));
  const [code, signal] = await exit;
  expect([0, null]).toContain(code);
  return signal === "SIGKILL";
}

it.each([
  ["takes", "new", 2],
  ["refuses", "bad", 5],
])(
  "T9: a group that the proxy %s is never left half, at whatever step the process dies",
  async (_what, text, stride) => {
    const place = createGroup();
    const { stateDir } = place;
    await runFailpoint({ files: place.files("old"), stateDir, dieAt: 0 });
    const seen = new Set<string>();
    for (let dieAt = 1; ; dieAt += stride) {
      if (!(await runFailpoint({ files: place.files(text), stateDir, dieAt }))) {
        expect(dieAt).toBeGreaterThan(20);
        break;
      }
      // The next process finishes what was promised before it does anything else.
      const state = await openStateDir(stateDir);
      const records = await openRecords(state);
      const [first = "", ...others] = place.live();
      expect(others).toEqual([first, first]);
      expect(["old", text]).toContain(first);
      seen.add(first);
      // T7: what is live is reloaded.
      const request = {
        turn: calm,
        records,
        revision: 0,
        changed: [],
        env: process.env,
        log: { warn: () => {} },
      };
      await install({ ...request, files: place.files(first) }).catch(() => {});
      if (first !== "bad") expect(place.running()).toEqual([first, first, first]);
      await install({ ...request, files: place.files("old") });
      expect(place.running()).toEqual(["old", "old", "old"]);
      await state.close();
    }
    expect([...seen].sort()).toEqual([text, "old"].sort());
    // Each process clears up after those before it.
    await runFailpoint({ files: place.files("old"), stateDir, dieAt: 0 });
    expect(place.left()).toEqual(["a.cfg", "b.cfg", "c.cfg"]);
  },
  300_000,
);

it("T2, T7, T9: files that come, change and go do so together, at whatever step the process dies", async () => {
  const dir = tempDir("crash-each");
  const [folder, stateDir, running] = [join(dir, "conf.d"), join(dir, "state"), join(dir, "running")];
  mkdirSync(folder);
  const shell = `cat ${folder}/*.conf > ${running}`;
  const files = (texts: Readonly<Record<string, string | undefined>>): FailpointTask["files"] =>
    Object.entries(texts).map(([name, text]) => ({
      text,
      target: {
        source: "/t.hbs",
        destination: join(folder, `${name}.conf`),
        partOf: join(folder, "{{name}}.conf"),
        group: "each",
        check: { argv: ["test", "-s", "{{src}}"] },
        reload: { kind: "command", command: { shell } },
        commandTimeout: 10_000,
        wait: { min: 0, max: 0 },
        minInterval: 0,
      },
    }));
  const live = () => readdirSync(folder).filter((name) => name.endsWith(".conf"));
  const before = { changes: "1\n", goes: "1\n", comes: undefined };
  const after = { changes: "2\n", goes: undefined, comes: "2\n" };
  await runFailpoint({ files: files(before), stateDir, dieAt: 0 });
  const seen = new Set<string>();
  for (let dieAt = 1; ; dieAt += 4) {
    if (!(await runFailpoint({ files: files(after), stateDir, dieAt }))) {
      expect(dieAt).toBeGreaterThan(16);
      break;
    }
    const state = await openStateDir(stateDir);
    const request = {
      turn: calm,
      records: await openRecords(state),
      revision: 0,
      changed: [],
      env: process.env,
      log: { warn: () => {} },
    };
    const found = live().join();
    expect(["changes.conf,goes.conf", "changes.conf,comes.conf"]).toContain(found);
    seen.add(found);
    await install({ ...request, files: files(after) });
    expect([live(), readFileSync(running, "utf8")]).toEqual([["changes.conf", "comes.conf"], "2\n2\n"]);
    await install({ ...request, files: files(before) });
    expect([live(), readFileSync(running, "utf8")]).toEqual([["changes.conf", "goes.conf"], "1\n1\n"]);
    await state.close();
  }
  expect(seen.size).toBe(2);
}, 300_000);
