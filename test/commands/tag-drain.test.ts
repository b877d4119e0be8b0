import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import type { Daemon } from "../../src/daemon.ts";
import type { Log } from "../../src/log.ts";
import { startRegistrator } from "../../src/registrator/index.ts";
import { openStateDir, type StateDir } from "../../src/state-dir.ts";
import { settings } from "../registrator/build.ts";
import { type ScriptedDocker, startScriptedDocker } from "../registrator/scripted-docker.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { runHere } from "./run-here.ts";

const log = new Proxy({} as Log, { get: () => () => {} });
const signal = new AbortController().signal;

describe("tag, drain and undrain", () => {
  const dir = tempDir("orders");
  let at = 0;
  let url: string;
  let docker: ScriptedDocker;
  let backend: Backend;
  let state: StateDir;
  let daemon: Daemon;
  const start = async () => {
    daemon = startRegistrator({
      docker: docker.url,
      backends: [backend],
      settings: settings({ ip: "10.0.0.5", node: "host1" }),
      env: {},
      log,
      state,
    });
    await daemon.synced(AbortSignal.timeout(20_000));
  };
  beforeEach(async () => {
    at += 1;
    const registry = join(dir, `registry-${at}`);
    mkdirSync(registry);
    url = `file://${registry}`;
    docker = await startScriptedDocker();
    for (const name of ["db-1", "web-1", "web-2"])
      docker.containers.set(name, { name, running: true, hostPort: 8000 + docker.containers.size });
    backend = await openBackend(url, { env: {} });
    state = await openStateDir(join(dir, `state-${at}`));
    await start();
  });
  afterEach(async () => {
    await daemon.stop();
    await backend.close();
    await docker.stop();
    await state.close();
  });
  const run = (...words: string[]) => runHere(words, dir);
  const record = async (id: string) => {
    const { stdout } = await run("services", "--json", url);
    return (JSON.parse(stdout) as { id: string; state: string; tags: string[]; role?: string }[]).find(
      (one) => one.id === id,
    );
  };
  const notes = async () => [...((await backend.notes?.("overrides").list(signal)) ?? new Map()).keys()];

  it("sets a role by tags, and takes it back", async () => {
    const set = await run("tag", "host1:db-1:80", "+master", "-slave", "--backend", url);
    expect(set).toMatchObject({ code: 0, stderr: "" });
    expect(await record("host1:db-1:80")).toMatchObject({ role: "master", tags: ["master"] });
    expect((await run("tag", url, "host1:db", "-master", "+slave")).code).toBe(0);
    expect(await record("host1:db-1:80")).toMatchObject({ role: "slave", tags: ["slave"] });
  });

  it("drains over a restart of the registrator, until undrained", async () => {
    expect(await run("drain", "host1:web-1:80", url)).toMatchObject({ code: 0, stderr: "" });
    expect(await record("host1:web-1:80")).toMatchObject({ state: "draining" });
    expect(await record("host1:web-2:80")).toMatchObject({ state: "ready" });
    await daemon.stop();
    await start();
    expect(await record("host1:web-1:80")).toMatchObject({ state: "draining" });
    expect(await run("undrain", "host1:web-1:80", url)).toMatchObject({ code: 0, stderr: "" });
    expect(await record("host1:web-1:80")).toMatchObject({ state: "ready" });
    expect(await notes()).toEqual([]);
  });

  it("drains a whole node, and for a time", async () => {
    expect((await run("drain", "--node", "host1", "--for", "2s", url)).code).toBe(0);
    expect(await record("host1:db-1:80")).toMatchObject({ state: "draining" });
    const one = await run("undrain", "host1:db-1:80", url);
    expect(one.stderr).toContain("portolan undrain --node host1");
    await waitFor("the end", async () => (await record("host1:db-1:80"))?.state === "ready", {
      within: 20_000,
    });
    await waitFor("no note", async () => (await notes()).length === 0, { within: 20_000 });
  });

  it("forgets what was ordered of a container that has ended", async () => {
    expect((await run("drain", "host1:web-1:80", url)).code).toBe(0);
    docker.containers.delete("web-1");
    docker.emit("die", "web-1");
    await waitFor("no note", async () => (await notes()).length === 0, { within: 20_000 });
  });

  it("says what is wrong", async () => {
    const unknown = await run("drain", "host1:wob-1:80", url);
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain("the nearest id is host1:web-1:80");
    const several = await run("drain", "host1:web", url);
    expect(several.stderr).toContain("begins several ids: host1:web-1:80, host1:web-2:80");
    expect((await run("tag", "host1:db-1:80", url)).code).toBe(78);
    expect((await run("drain", url)).stderr).toContain("--node NAME");
    expect((await run("tag", "host1:db-1:80", "+master", "+slave", url)).code).toBe(78);
  });
});
