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
  const ids = () => {
    const now = backend.observe({ services: "all" }).current();
    return now.known ? [...now.value.services.values()].flat().map(({ id }) => id) : [];
  };
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
