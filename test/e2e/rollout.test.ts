import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { acknowledged, encodeAcknowledgement } from "../../src/acknowledgement.ts";
import { openBackend } from "../../src/backends/index.ts";
import { runHere, startHere } from "../commands/run-here.ts";
import { installCompose } from "../servers/compose.ts";
import { startConsul } from "../servers/consul.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { exec } from "../servers/exec.ts";
import { webImage } from "../servers/image.ts";
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
const load = ({ port, keepsConnections }: Balancer = haproxy) =>
  startSteadyLoad({ port, host: page, rate: 100, connections: 8, keepAlive: keepsConnections });
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
    expect(ended.stderr).toContain("exited with code 3");
    await allReady();
    expect(ids().get("web-2")).toBe(before.get("web-2"));
    expect(await notes("overrides")).toEqual([]);
  });

  it("makes what compose has scaled anew by compose; the old one goes on where the new one does not get ready", async () => {
    const dir = tempDir("compose");
    const PATH = `${await installCompose()}:${process.env.PATH}`;
    const file = join(dir, "compose.yaml");
    const labels = [stage.mark, "SERVICE_NAME=app", "SERVICE_DRAIN=0"];
    const app = { image: webImage, labels, ports: ["80"], stop_grace_period: "0s" };
    const write = (more: object = {}) =>
      writeFileSync(file, JSON.stringify({ services: { app: { ...app, ...more } } }));
    const compose = (...args: readonly string[]) =>
      exec("docker", ["compose", "--project-name", "shop", "--file", file, ...args], {
        env: { PATH, DOCKER_HOST: host.dockerHost },
        within: 60_000,
      });
    write();
    onTestFinished(async () => {
      await compose("down", "--timeout", "0");
      await host.docker(["rm", "--force", "alone"]);
    });
    await compose("up", "--detach", "--scale", "app=2");
    const run = ["run", "--detach", "--publish", "80", `--label=${stage.mark}`, "--label=SERVICE_NAME=app"];
    await host.docker([...run, "--name=alone", webImage]);
    /** Whatever stands between the words of compose's names: its versions differ. */
    const apps = () =>
      stage
        .records("app")
        .map(({ container, state }) => `${container?.name.replace(/^shop.app./, "app-")} ${state}`);
    const are = (...expected: readonly string[]) =>
      waitFor(`apps: ${expected}`, () => apps().join() === expected.join(), soon);
    await are("alone ready", "app-1 ready", "app-2 ready");
    const idOf = (name: string) =>
      stage.records("app").find(({ container }) => container?.name === name)?.container?.id ?? "";
    const names = stage.records("app").map(({ container }) => container?.name ?? "");
    const [first = "", second = ""] = names.filter((name) => name.startsWith("shop"));
    const [id, other] = [idOf(first), idOf(second)];
    const rollout = (name: string, ...more: readonly string[]) =>
      portolan(["rollout", name, ...stage.options, ...more], { PATH });

    write({ healthcheck: { test: "false", interval: "1h" } });
    const failed = await rollout(first, "--timeout", "1s");
    expect(failed, failed.stderr).toMatchObject({ code: 1, stdout: "" });
    expect(failed.stderr).toContain(`no new ready instance of app within 1 s after ${first}`);
    await are("alone ready", "app-1 ready", "app-2 ready", "app-3 starting");
    expect([idOf(first), idOf(second)]).toEqual([id, other]);
    await host.docker(["rm", "--force", first.replace(/1$/, "3")]);
    await are("alone ready", "app-1 ready", "app-2 ready");

    write();
    const ended = await rollout(first);
    expect(ended, ended.stderr).toMatchObject({ code: 0, stdout: `${first}\n` });
    await are("alone ready", "app-2 ready", "app-3 ready");
    expect(idOf(second)).toBe(other);
    expect(await host.docker(["ps", "--all", "--quiet", "--no-trunc"])).not.toContain(id);

    const alone = await rollout("alone");
    expect(alone).toMatchObject({ code: 78, stdout: "" });
    expect(alone.stderr).toContain("compose has not made alone, so nobody knows how to replace it");
  });

  it("does not drain the last ready instance of a service", async () => {
    const labels = ["--label", stage.mark, "--label", "SERVICE_NAME=lone"];
    await host.docker(["run", "--detach", "--name", "lone", ...labels, "--publish", "80", webImage]);
    onTestFinished(async () => void (await host.docker(["rm", "--force", "lone"])));
    await waitFor("it", () => stage.records("lone").length === 1, soon);
    const ended = await portolan(["rollout", "lone", ...stage.options, "--", "true"]);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain("lone is the last ready instance of lone: draining it would leave nobody");
  });
});

// Consul has no folders, so that it is this stage's alone.
const registries = {
  etcd: async () => {
    const { host, port } = inject("etcd");
    return { url: `etcd://${host}:${port}/rollout`, stop: async () => {} };
  },
  consul: async () => {
    const { host, port, stop } = await startConsul();
    return { url: `consul://${host}:${port}`, stop };
  },
  zookeeper: async () => ({
    url: `zookeeper://${inject("zookeeper").address}/rollout`,
    stop: async () => {},
  }),
};

describe.each([
  ["etcd", "nginx"],
  ["consul", "haproxy"],
  ["zookeeper", "haproxy"],
] as const)("portolan rollout and stop by %s, with %s", (store, proxy) => {
  it("lose no request", async () => {
    const registry = await registries[store]();
    onTestFinished(registry.stop);
    const other = await startRolloutStage(host, { name: store, url: registry.url });
    onTestFinished(other.stop);
    const names = [`${store}-1`, `${store}-2`] as const;
    await Promise.all(names.map(other.web));
    const requests = load(await other.balance(proxy));
    await waitFor("the load", () => requests.sent() > 20, soon);
    const replaced = await portolan(["rollout", names[0], ...other.options, "--", other.replace]);
    const stopped = await portolan(["stop", names[1], ...other.options]);
    const { sent, answered, failed } = await requests.stop();
    expect(replaced, replaced.stderr).toMatchObject({ code: 0, stdout: `${names[0]}\n` });
    expect(replaced.stderr).toMatch(/out of rotation, applied by \S+:[0-9a-f]{8}\n/);
    expect(stopped, stopped.stderr).toMatchObject({ code: 0, stdout: `${names[1]}\n` });
    expect(failed).toEqual([]);
    expect(answered).toBe(sent);
    expect(other.records().map(({ container }) => container?.name)).toEqual([names[0]]);
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
      expect(late.stderr).toContain("web-3: takes the drain back");
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
    expect(ended.stderr).toMatch(/waits for elsewhere:dead(, \S+)? to apply that web-3 drains/);
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
