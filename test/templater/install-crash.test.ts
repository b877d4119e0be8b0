import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "tsup";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openStateDir } from "../../src/state-dir.ts";
import { openAccepted } from "../../src/templater/accepted.ts";
import { install } from "../../src/templater/install.ts";
import type { Target } from "../../src/templater/target.ts";
import { tempDir } from "../servers/run.ts";
import type { ChildTask } from "./install-child.ts";
import { calm } from "./workspace.ts";

const bundle = tempDir("bundle");

beforeAll(async () => {
  const entry = [join(import.meta.dirname, "install-child.ts")];
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
  for (let i = 0; i < 100; i++) {
    await runChild(place, i % 2 ? bare : { reload: { kind: "none" } }, 1e9, Math.random() * 30);
    expect(texts).toContain(place.read("live"));
    leftovers += readdirSync(place.folder).length - 1;
  }
  expect(leftovers).toBeGreaterThan(0);
  await runChild(place, bare, 1);
  expect(readdirSync(place.folder)).toEqual(["proxy.cfg"]);
  expect(readdirSync(place.stateDir)).toEqual(["accepted.json", expect.stringMatching(/^lock\.\d+$/)]);
}, 300_000);

it("T7: whatever was swapped in is reloaded, however often the process was killed in between", async () => {
  const place = createPlace();
  await runChild(place, {}, 1);
  const owed = { unchanged: 0, reloaded: 0 };
  // Both outcomes have to be seen, however the random moments fall.
  for (let i = 0; i < 20 || owed.unchanged === 0 || owed.reloaded === 0; i++) {
    for (let kills = 1 + (i % 3); kills > 0; kills--) await runChild(place, {}, 1e9, Math.random() * 30);
    const state = await openStateDir(place.stateDir);
    const { verdict } = await install({
      text: place.read("live"),
      target: place.target,
      turn: calm,
      accepted: await openAccepted(state),
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
