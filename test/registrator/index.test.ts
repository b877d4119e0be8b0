import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import { openMemory } from "../../src/backends/memory.ts";
import type { Daemon } from "../../src/daemon.ts";
import type { Log } from "../../src/log.ts";
import { startRegistrator } from "../../src/registrator/index.ts";
import { waitFor } from "../servers/wait.ts";
import { settings } from "./build.ts";
import { type ScriptedDocker, startScriptedDocker } from "./scripted-docker.ts";

const log = new Proxy({} as Log, { get: () => () => {} });

describe("startRegistrator", () => {
  let docker: ScriptedDocker;
  let backend: Backend;
  let daemon: Daemon | undefined;
  beforeEach(async () => {
    docker = await startScriptedDocker();
    backend = await openMemory();
  });
  afterEach(async () => {
    await daemon?.stop();
    await docker.stop();
  });
  const web = (name: string) => ({ name, running: true, hostPort: 8080 });
  const records = () => {
    const now = backend.observe({ services: "all" }).current();
    return now.known ? [...now.value.services.values()].flat() : [];
  };
  const ids = () => records().map(({ id }) => id);
  const addresses = () => records().map(({ address }) => address);
  const holds = (...expected: string[]) =>
    waitFor(expected.join(), () => JSON.stringify(ids()) === JSON.stringify(expected), { within: 5000 });

  it("removes what has ended while the host's address is not known (R1)", async () => {
    const env: Record<string, string> = { HOST: "10.0.0.5" };
    docker.containers.set("a", web("a"));
    docker.containers.set("b", web("b"));
    daemon = startRegistrator({
      docker: docker.url,
      backends: [backend],
      settings: settings({ ip: "env:HOST" }),
      env,
      log,
    });
    await holds("host1:a:80", "host1:b:80");
    env.HOST = "";
    docker.containers.delete("b");
    docker.emit("die", "b");
    await holds("host1:a:80");
    expect(daemon.notReady().join()).toContain("host's address");
  });

  it("registers once the host's address is known, and moves with it, with nobody telling (R2)", async () => {
    const env: Record<string, string> = {};
    docker.containers.set("a", web("a"));
    daemon = startRegistrator({
      docker: docker.url,
      backends: [backend],
      settings: settings({ ip: "env:HOST", ttlSeconds: 3 }),
      env,
      log,
    });
    await waitFor("the reason", () => daemon?.notReady().join().includes("host's address"), { within: 5000 });
    expect(ids()).toEqual([]);
    env.HOST = "10.0.0.5";
    const synced = daemon.synced(AbortSignal.timeout(20_000));
    await waitFor("the record", () => ids().length === 1, { within: 20_000 });
    await synced;
    expect(addresses()).toEqual(["10.0.0.5"]);
    env.HOST = "10.0.0.6";
    await waitFor("the new address", () => addresses().join() === "10.0.0.6", { within: 20_000 });
    expect(daemon.notReady()).toEqual([]);
  });

  it("shows no secret of a check on the status page", async () => {
    const secret = "hunter2-canary";
    docker.containers.set("a", {
      ...web("a"),
      labels: {
        SERVICE_CHECK_HTTP: `http://user:${secret}@127.0.0.1/`,
        SERVICE_CHECK_HEADER: `Authorization: Bearer ${secret}`,
        SERVICE_CHECK_BODY: `${secret}\nsecond line`,
        service_check_header: `Authorization: Basic ${secret}`,
      },
    });
    const lines: string[] = [];
    daemon = startRegistrator({
      docker: docker.url,
      // Its registry would check.
      backends: [backend, { ...(await openMemory()), capabilities: { expiry: "check", checks: true } }],
      settings: settings({ ip: "10.0.0.5", resync: 500 }),
      env: {},
      log: new Proxy({} as Log, {
        get: () => (fields: unknown, text: string) => void lines.push(`${JSON.stringify(fields)} ${text}`),
      }),
    });
    await daemon.synced(AbortSignal.timeout(20_000));
    const page = JSON.stringify(daemon.status());
    expect(page).toContain('"checks":["header","http"]');
    expect(page).toContain("SERVICE_CHECK_BODY");
    expect(page).not.toContain(secret);
    expect(lines.join()).toContain("SERVICE_CHECK_BODY");
    expect(lines.join()).not.toContain(secret);
  });

  it("keeps the record of a container that Docker cannot describe after a restart (R8), and says so (B3)", async () => {
    docker.containers.set("a", web("a"));
    docker.containers.set("b", web("b"));
    const start = () =>
      startRegistrator({
        docker: docker.url,
        backends: [backend],
        settings: settings({ ip: "10.0.0.5" }),
        env: {},
        log,
      });
    daemon = start();
    await holds("host1:a:80", "host1:b:80");
    await daemon.stop();
    docker.script.fault = (path) => (path.includes("/containers/a/") ? "error" : undefined);
    docker.containers.delete("b");
    daemon = start();
    await holds("host1:a:80");
    await waitFor("the reason", () => daemon?.notReady().join().includes("container a"), { within: 5000 });
  });
});
