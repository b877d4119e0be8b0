import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { openBackend } from "../../src/backends/index.ts";
import type { Log } from "../../src/log.ts";
import { startRegistrator } from "../../src/registrator/index.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { settings } from "../registrator/build.ts";
import { startScriptedDocker } from "../registrator/scripted-docker.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { instance, registryFolder } from "./registry-folder.ts";
import { runHere } from "./run-here.ts";

const log = new Proxy({} as Log, { get: () => () => {} });
const signal = new AbortController().signal;

const dir = tempDir("orders");
let at = 0;

/** A registrator of three containers over a backend. */
async function startStage(url: string, node: string) {
  at += 1;
  const docker = await startScriptedDocker();
  for (const name of ["db-1", "web-1", "web-2"])
    docker.containers.set(name, { name, running: true, hostPort: 8000 + docker.containers.size });
  const backend = await openBackend(url, { env: {} });
  const state = await openStateDir(join(dir, `state-${at}`));
  const start = async () => {
    const daemon = startRegistrator({
      docker: docker.url,
      backends: [backend],
      settings: settings({ ip: "10.0.0.5", node, onExit: "deregister" }),
      env: {},
      log,
      state,
    });
    await daemon.synced(AbortSignal.timeout(20_000));
    return daemon;
  };
  let daemon = await start();
  const run = (...words: string[]) => runHere(words, dir);
  return {
    docker,
    backend,
    run,
    async restart() {
      await daemon.stop();
      daemon = await start();
    },
    async record(id: string) {
      const { stdout } = await run("services", "--json", url);
      return (JSON.parse(stdout) as { id: string; state: string; tags: string[]; role?: string }[]).find(
        (one) => one.id === id,
      );
    },
    async notes() {
      const all = (await backend.notes?.("overrides").list(signal)) ?? new Map<string, string>();
      return [...all.keys()].filter((name) => name.includes(node));
    },
    async stop() {
      await daemon.stop();
      await backend.close();
      await docker.stop();
      await state.close();
    },
  };
}

describe("tag, drain and undrain", () => {
  let url: string;
  let stage: Awaited<ReturnType<typeof startStage>>;
  beforeEach(async () => {
    const registry = join(dir, `registry-${at}`);
    mkdirSync(registry);
    url = `file://${registry}`;
    stage = await startStage(url, "host1");
  });
  afterEach(() => stage.stop());
  const run = (...words: string[]) => stage.run(...words);
  const record = (id: string) => stage.record(id);
  const notes = () => stage.notes();

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
    await stage.restart();
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
    stage.docker.containers.delete("web-1");
    stage.docker.emit("die", "web-1");
    await waitFor("no note", async () => (await notes()).length === 0, { within: 20_000 });
  });

  it("shows in services and explain what was ordered, and by whom", async () => {
    expect((await run("tag", "host1:db-1:80", "+master", "--backend", url)).code).toBe(0);
    expect((await run("drain", "--node", "host1", "--for", "10m", url)).code).toBe(0);
    const { stdout: table } = await run("services", url);
    expect(table).toMatch(/^SERVICE .* OVERRIDE$/m);
    expect(table).toMatch(/host1:db-1:80 +(\+master by \S+; drain|drain by \S+ until \S+; \+master) by \S+/);
    expect(table).toMatch(/host1:web-1:80 +drain by \S+@\S+ until 20\S+Z$/m);
    const docker = ["--docker", stage.docker.url, "--node", "host1", "--ip", "10.0.0.5"];
    const told = await run("explain", ...docker, "--backend", url, "db-1");
    expect(told.stdout).toMatch(/role +master +override by \S+@\S+ since/);
    expect(told.stdout).toMatch(/state +draining +override by/);
    const silent = await run("explain", ...docker, "--backend", "etcd://127.0.0.1:9/x", "db-1");
    expect(silent.stdout).toContain("Not known: what `tag` and `drain` have ordered");
    const dry = await run("registrator", "--dry-run", ...docker, url);
    expect(dry.stdout).toContain("nothing would change");
  });

  it("undrains a node on which nothing runs any more", async () => {
    expect((await run("drain", "--node", "host1", url)).code).toBe(0);
    for (const name of [...stage.docker.containers.keys()]) {
      stage.docker.containers.delete(name);
      stage.docker.emit("die", name);
    }
    await waitFor("no record", async () => (await record("host1:db-1:80")) === undefined, {
      within: 20_000,
    });
    expect(await run("undrain", "--node", "host1", url)).toMatchObject({ code: 0, stderr: "" });
    expect(await notes()).toEqual([]);
  });

  it("says what is wrong", async () => {
    const unknown = await run("drain", "host1:wob-1:80", url);
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain("the nearest id is host1:web-1:80");
    const far = await run("drain", "nowhere", url);
    expect(far.stderr).toContain(
      "there is no instance nowhere; `portolan services` lists those that are there",
    );
    const several = await run("drain", "host1:web", url);
    expect(several.stderr).toContain("begins several ids: host1:web-1:80, host1:web-2:80");
    expect((await run("tag", "host1:db-1:80", url)).code).toBe(78);
    expect((await run("drain", url)).stderr).toContain("--node NAME");
    expect((await run("tag", "host1:db-1:80", "+master", "+slave", url)).code).toBe(78);
  });
});

it("tell on a terminal whom they wait for, and in the end that nobody has applied it", async () => {
  const registry = registryFolder(join(dir, "without-registrator"));
  const container = { id: "web", name: "web-1", image: "web" };
  registry.put(instance("web", 80, { container }));
  const drained = (id: string, terminal: boolean) =>
    runHere(["drain", id, "--timeout", "1500ms", registry.url], dir, {}, terminal);
  const waits = "waits for the registrator of host1 to apply it";
  const late = "host1:web-1:80 does not show it after 1.5 s";
  expect(await drained("host1:web-1:80", true)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(new RegExp(`^${waits}\n.*\nportolan: FAILED: ${late}`, "s")),
  });
  const { stderr } = await drained("host1:web-1:80", false);
  expect(stderr).toMatch(new RegExp(`^portolan: FAILED: ${late}`));
});

const prefix = `orders-${process.pid}`;
const stores: Readonly<Record<string, () => string>> = {
  consul: () => inject("consul").url.replace("http", "consul"),
  consulkv: () => `${inject("consul").url.replace("http", "consulkv")}/${prefix}`,
  etcd: () => `etcd://${inject("etcd").host}:${inject("etcd").port}/${prefix}`,
  "etcd with layout registrator": () =>
    `etcd://${inject("etcd").host}:${inject("etcd").port}/${prefix}-kv?layout=registrator`,
  zookeeper: () => `zookeeper://${inject("zookeeper").address}/${prefix}`,
};

describe.each(Object.entries(stores))("orders on %s", (name, url) => {
  it("are applied, taken back, and gone with the container", async () => {
    const node = `${prefix}-${name.length}`;
    const stage = await startStage(url(), node);
    const { backend, run, record, notes } = stage;
    try {
      const [db, web] = [`${node}:db-1:80`, `${node}:web-1:80`];
      const tagged = await run("tag", "--backend", url(), db, "+master");
      if (backend.listed)
        expect(tagged).toMatchObject({ code: 1, stderr: expect.stringContaining("no tags") });
      else expect(tagged).toMatchObject({ code: 0, stderr: "" });
      if (!backend.listed) {
        expect(await record(db)).toMatchObject({ role: "master", tags: ["master"] });
        const words = ["+a", "+b", "+c", "-master"];
        const all = await Promise.all(words.map((word) => run("tag", "--backend", url(), db, word)));
        expect(all.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
          words.map(() => ({ code: 0, stderr: "" })),
        );
        expect((await record(db))?.tags).toEqual(["a", "b", "c"]);
      }
      expect(await run("drain", web, url())).toMatchObject({ code: 0, stderr: "" });
      // Where a record cannot say that it drains, it does not stand there.
      expect((await record(web))?.state).toBe(backend.listed ? undefined : "draining");
      expect(await run("undrain", web, url())).toMatchObject({ code: 0, stderr: "" });
      await waitFor("it is back", async () => (await record(web))?.state === "ready", { within: 20_000 });
      expect((await run("drain", web, url())).code).toBe(0);
      stage.docker.containers.delete("web-1");
      stage.docker.emit("die", "web-1");
      await waitFor("no note", async () => !(await notes()).includes(web), { within: 20_000 });
    } finally {
      await stage.stop();
    }
  });
});
