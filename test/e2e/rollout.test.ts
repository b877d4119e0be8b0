import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { acknowledged, encodeAcknowledgement } from "../../src/acknowledgement.ts";
import { openBackend } from "../../src/backends/index.ts";
import { runHere, startHere } from "../commands/run-here.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { type Balancer, page, type RolloutStage, startRolloutStage } from "./rollout-stage.ts";
import { startSteadyLoad } from "./steady-load.ts";

const soon = { within: 20_000 };
const never = new AbortController().signal;

let host: DockerHost;
let stage: RolloutStage;
let haproxy: Balancer;
beforeAll(async () => {
  host = await startDockerHost();
  stage = await startRolloutStage(host);
  await Promise.all(["web-1", "web-2", "web-3"].map(stage.web));
  haproxy = await stage.balance("haproxy");
});
afterAll(async () => {
  await stage?.stop();
  await host?.stop();
});

const portolan = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  runHere(args, tempDir("rollout"), { PATH: process.env.PATH, ...env });
const load = () => startSteadyLoad({ port: haproxy.port, host: page, rate: 100, connections: 8 });
const ids = () =>
  new Map(stage.records().map(({ container }) => [container?.name ?? "", container?.id ?? ""]));
const states = () => new Map(stage.records().map(({ container, state }) => [container?.name ?? "", state]));
const isRunning = async (name: string) =>
  (await host.docker(["inspect", "--format", "{{.State.Running}}", name])) === "true";
const allReady = () =>
  waitFor("three ready ones", () => [...states().values()].join() === "ready,ready,ready", soon);

/** The notes of an area in the registry. */
async function notes(area: "overrides" | "templaters"): Promise<readonly string[]> {
  const backend = await openBackend(stage.url, { env: {} });
  try {
    return [...((await backend.notes?.(area).list(never)) ?? new Map()).keys()];
  } finally {
    await backend.close();
  }
}

describe("portolan rollout", () => {
  it("replaces three containers under load, one at a time, and no request fails", async () => {
    const before = ids();
    const requests = load();
    await waitFor("the load", () => requests.sent() > 50, soon);
    const ended = await portolan(["rollout", "web", ...stage.options, "--", stage.replace]);
    const { sent, answered, failed } = await requests.stop();
    expect(ended, ended.stderr).toMatchObject({ code: 0, stdout: "web-1\nweb-2\nweb-3\n" });
    expect(failed).toEqual([]);
    expect(answered).toBe(sent);
    const after = ids();
    expect([...after.keys()]).toEqual(["web-1", "web-2", "web-3"]);
    for (const [name, id] of after) expect(id).not.toBe(before.get(name));
    expect(await notes("overrides")).toEqual([]);
  });

  it("stops at the first failure, takes the drain back, and tells what was done and what is left", async () => {
    const before = ids();
    const script = `[ "$PORTOLAN_CONTAINER" = web-1 ] && exec ${stage.replace}; exit 3`;
    const ended = await portolan(["rollout", "web", ...stage.options, "--", "sh", "-c", script]);
    expect(ended).toMatchObject({ code: 1, stdout: "web-1\n" });
    expect(ended.stderr).toContain("replaced: web-1\n");
    expect(ended.stderr).toContain("failed at web-2; left: web-3\n");
    expect(ended.stderr).toContain("FAILED: sh exited with code 3; web-2 is not replaced");
    await allReady();
    expect(ids().get("web-2")).toBe(before.get("web-2"));
    expect(await notes("overrides")).toEqual([]);
  });

  it("recreates what compose has made by compose, in its project", async () => {
    const dir = tempDir("compose");
    const calls = join(dir, "calls");
    const labels = { service: "app", project: "shop", "project.config_files": "/srv/shop/compose.yaml" };
    const given = Object.entries(labels).flatMap(([key, value]) => [
      ...["--label", `com.docker.compose.${key}=${value}`],
    ]);
    const run = ["run", "--detach", "--label", "SERVICE_DRAIN=0", "--publish", "80", ...given];
    const web = ["portolan-test/web:1"];
    await host.docker([...run, "--name", "app-0", "--label", "SERVICE_NAME=app", ...web]);
    await host.docker([
      ...run.slice(0, -given.length),
      "--name",
      "app-1",
      "--label",
      "SERVICE_NAME=app",
      ...web,
    ]);
    onTestFinished(async () => void (await host.docker(["rm", "--force", "app-0", "app-1"])));
    await waitFor(
      "both",
      () => stage.records("app").filter(({ state }) => state === "ready").length === 2,
      soon,
    );
    // Debian's Docker comes without compose: what would be run is noted, and done.
    const words = [...run, "--name", "app-0", "--label", "SERVICE_NAME=app", ...web].join(" ");
    writeFileSync(
      join(dir, "docker"),
      `#!/bin/sh\necho "$COMPOSE_PROJECT_NAME $COMPOSE_FILE $*" >> ${calls}\nPATH=\${PATH#*:}\ndocker rm --force app-0 > /dev/null && exec docker ${words} > /dev/null\n`,
      { mode: 0o755 },
    );
    const args = ["rollout", "app-0", ...stage.options];
    const ended = await portolan(args, { PATH: `${dir}:${process.env.PATH}` });
    expect(ended, ended.stderr).toMatchObject({ code: 0, stdout: "app-0\n" });
    expect(readFileSync(calls, "utf8")).toBe(
      "shop /srv/shop/compose.yaml compose up -d --no-deps --force-recreate app\n",
    );
    const other = await portolan(["rollout", "app-1", ...stage.options]);
    expect(other).toMatchObject({ code: 78, stdout: "" });
    expect(other.stderr).toContain("compose has not made app-1, so nobody knows how to replace it");
  });

  it("does not drain the last ready instance of a service", async () => {
    const labels = ["--label", "SERVICE_NAME=lone"];
    await host.docker([
      "run",
      "--detach",
      "--name",
      "lone",
      ...labels,
      "--publish",
      "80",
      "portolan-test/web:1",
    ]);
    onTestFinished(async () => void (await host.docker(["rm", "--force", "lone"])));
    await waitFor("it", () => stage.records("lone").length === 1, soon);
    const ended = await portolan(["rollout", "lone", ...stage.options, "--", "true"]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("lone is the last ready instance of lone: draining it would leave nobody");
  });
});

describe("portolan stop", () => {
  it("stops a container under load, and no request fails", async () => {
    const requests = load();
    const ended = await portolan(["stop", "web-3", ...stage.options]);
    const { sent, answered, failed } = await requests.stop();
    expect(ended, ended.stderr).toMatchObject({ code: 0, stdout: "web-3\n" });
    expect(failed).toEqual([]);
    expect(answered).toBe(sent);
    expect(await isRunning("web-3")).toBe(false);
    expect([...states().keys()]).toEqual(["web-1", "web-2"]);
    expect(await notes("overrides")).toEqual([]);
    await host.docker(["start", "web-3"]);
    await allReady();
  });

  it("stops nothing while a templater does not answer, unless it is forced; an interrupt takes the drain back", async () => {
    haproxy.templater.pause();
    try {
      const late = await portolan(["stop", "web-3", ...stage.options, "--timeout", "500ms"]);
      expect(late.code).toBe(1);
      expect(late.stderr).toMatch(/not applied by \S+:[0-9a-f]{8} within 0.5 s/);
      expect(late.stderr).toContain("web-3: the drain is taken back");
      await allReady();

      const running = startHere(["stop", "web-3", ...stage.options], tempDir("stop"));
      await waitFor("the drain", () => states().get("web-3") === "draining", soon);
      running.stop();
      expect((await running.ended).code).toBe(1);
      await allReady();
      expect(await isRunning("web-3")).toBe(true);

      const forced = await portolan(["stop", "web-3", ...stage.options, "--timeout", "500ms", "--force"]);
      expect(forced, forced.stderr).toMatchObject({ code: 0, stdout: "web-3\n" });
      expect(forced.stderr).toContain("going on, for --force is given");
      expect(await isRunning("web-3")).toBe(false);
      expect(await notes("overrides")).toEqual([]);
    } finally {
      haproxy.templater.resume();
    }
    await host.docker(["start", "web-3"]);
    await allReady();
  });

  it("waits for a templater that died until its note has run out", async () => {
    const backend = await openBackend(stage.url, { env: {} });
    onTestFinished(() => backend.close());
    const reads = { services: new Set(["web"]), all: false };
    const silent = acknowledged("elsewhere", "", [{ reads, accepted: undefined }]);
    await backend.notes?.("templaters").hold("elsewhere:dead", 1).renew(encodeAcknowledgement(silent), never);
    const ended = await portolan(["stop", "web-3", ...stage.options]);
    expect(ended, ended.stderr).toMatchObject({ code: 0, stdout: "web-3\n" });
    expect(ended.stderr).toContain("waits for elsewhere:dead to apply that web-3 drains");
    expect(ended.stderr).toContain("elsewhere:dead went meanwhile");
    await host.docker(["start", "web-3"]);
    await allReady();
  });

  it("says what is wrong with what it was given", async () => {
    const cases: readonly (readonly [args: readonly string[], code: number, text: string])[] = [
      [["stop", ...stage.options], 78, "stop needs a container"],
      [["stop", "web-33", ...stage.options], 1, "the nearest name is web-3"],
      [["stop", "web-1", "memory:"], 78, "memory: lives inside one process"],
      [["rollout", "web-1"], 78, "an agent without a backend is reached by no other process"],
      [["rollout", "wbe", ...stage.options], 1, "no container of this Docker has the service wbe"],
    ];
    for (const [args, code, text] of cases) {
      const ended = await portolan(args, { PORTOLAN_BACKEND: "" });
      expect(ended.code, ended.stderr).toBe(code);
      expect(ended.stderr).toContain(text);
    }
  });
});
