import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import { openMemory } from "../../src/backends/memory.ts";
import { startAgent } from "../../src/commands/agent.ts";
import type { Context } from "../../src/commands/context.ts";
import { parseArguments } from "../../src/config/arguments.ts";
import { readSettings } from "../../src/config/settings.ts";
import { unmeasured } from "../../src/meter.ts";
import { openStateDir, type StateDir } from "../../src/state-dir.ts";
import { type ScriptedDocker, startScriptedDocker } from "../registrator/scripted-docker.ts";
import { waitFor } from "../servers/wait.ts";
import { runHere, startHere } from "./run-here.ts";

let dir: string;
let docker: ScriptedDocker;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "portolan-agent-"));
  docker = await startScriptedDocker();
  docker.containers.set("a", { name: "a", running: true, hostPort: 8080 });
  writeFileSync(
    join(dir, "all.hbs"),
    '{{#each (service "web" state="any")}}\n{{address}}:{{port}} {{state}}\n{{/each}}\n',
  );
});
afterEach(async () => {
  await docker.stop();
  rmSync(dir, { recursive: true, force: true });
});

const args = (...more: string[]) => [
  ...["agent", "--docker", docker.url, "--ip", "10.0.0.5", "-t", "all.hbs:all", "--node", "host1"],
  ...["--listen", "off", "--state-dir", "state", "--log-level", "error", ...more],
];
const live = () => (existsSync(join(dir, "all")) ? readFileSync(join(dir, "all"), "utf8") : "");

describe("--dry-run", () => {
  it("shows what would be registered and what would be written, and writes neither", async () => {
    const { code, stdout } = await runHere(args("--dry-run", "--once", `file://${dir}/registry`), dir);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\+ host1:a:80 web 10\.0\.0\.5:8080 ready$/m);
    expect(existsSync(join(dir, "all"))).toBe(false);
    const left = existsSync(join(dir, "registry"))
      ? readdirSync(join(dir, "registry"), { recursive: true })
      : [];
    expect(left.filter((name) => !["services", "nodes"].includes(String(name)))).toEqual([]);
  });

  it("shows what would be written of this host's containers where it needs no backend", async () => {
    const { code, stdout } = await runHere(args("--dry-run", "--once"), dir);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\+10\.0\.0\.5:8080 ready$/m);
    expect(existsSync(join(dir, "all"))).toBe(false);
  });

  it("fails where Docker does not answer", async () => {
    const { code, stderr } = await runHere(
      args("--dry-run", "--docker", `unix://${dir}/none.sock`, `file://${dir}/registry`),
      dir,
    );
    expect([code, stderr]).toEqual([1, expect.stringContaining("none.sock")]);
  });
});

it("--on-exit drain: the templater of the same process writes the drain, and nothing of what comes after", async () => {
  docker.containers.set("a", {
    ...{ name: "a", running: true, hostPort: 8080 },
    labels: { SERVICE_DRAIN: "3s" },
  });
  const agent = startHere(args("--on-exit", "drain"), dir);
  await waitFor("the first file", () => live() === "10.0.0.5:8080 ready\n", { within: 10_000 });
  agent.stop();
  await waitFor("the drain", () => live() === "10.0.0.5:8080 draining\n", { within: 10_000 });
  expect((await agent.ended).code).toBe(0);
  expect(live()).toBe("10.0.0.5:8080 draining\n");
});

/** An agent over this backend, in a state folder of its own where none is given. */
async function start(
  backend: Backend,
  more: readonly string[] = [],
  { state, restarting = () => false }: { state?: StateDir; restarting?: () => boolean } = {},
) {
  const given = { ...(await parseArguments(args(...more))), command: "agent" } as const;
  const settings = await readSettings(given, {}, dir);
  const folder = state ?? (await openStateDir(mkdtempSync(join(dir, "state-"))));
  onTestFinished(folder.close);
  const never = new AbortController().signal;
  const context: Context = {
    ...{ command: "agent", settings, reread: async () => settings, env: {}, cwd: dir, version: "1" },
    ...{ print() {}, say() {}, linger() {}, started() {}, onReload() {}, stop: never, hurry: never },
    ...{ terminal: false, log: { debug() {}, info() {}, warn() {}, error() {} } },
  };
  const parts = { settings, backends: [backend], state: folder, meter: unmeasured, restarting };
  return startAgent(parts, context);
}

it("started again over its own memory for another Docker takes over what is registered", async () => {
  const memory = await openMemory();
  const state = await openStateDir(join(dir, "state"));
  const before = await start(memory, [], { state, restarting: () => true });
  await before.synced(AbortSignal.timeout(10_000));
  await before.stop();
  docker.script.engine = "ANOTHER";
  const after = await start(memory, [], { state });
  await after.synced(AbortSignal.timeout(10_000));
  expect(live()).toBe("10.0.0.5:8080 ready\n");
  await after.stop();
});

describe("a templater that cannot be started", () => {
  const blind = () => {
    throw new Error("no templater here");
  };
  const registeredIn = (backend: Backend) => {
    const now = backend.observe({ services: new Set(["web"]) }).current();
    return now.known ? now.value.services.get("web")?.length : undefined;
  };

  it("ends the registrator that was started before it, which takes nothing away", async () => {
    const memory = await openMemory();
    const expiring = { ...memory, capabilities: { ...memory.capabilities, expiry: "lease" as const } };
    const before = await start(expiring, ["--on-exit", "keep"]);
    await before.synced(AbortSignal.timeout(10_000));
    expect(registeredIn(memory)).toBe(1);
    await before.stop();
    await waitFor("no eye on Docker", () => docker.streams() === 0, { within: 10_000 });

    await expect(start({ ...expiring, observe: blind }, ["--on-exit", "deregister"])).rejects.toThrow(
      "no templater here",
    );
    const after = await start(await openMemory());
    await after.synced(AbortSignal.timeout(10_000));
    expect([docker.streams(), registeredIn(memory)]).toEqual([1, 1]);
    await after.stop();
  });

  it("ends the registrator also where it would have waited for the first look", async () => {
    const memory = await openMemory();
    const told = start({ ...memory, notes: blind });
    await expect(told).rejects.toThrow("no templater here");
    await waitFor("no eye on Docker", () => docker.streams() === 0, { within: 10_000 });
    expect(registeredIn(memory)).toBe(0);
  });
});
