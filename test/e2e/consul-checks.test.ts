// Checks that containers order: a real Docker, a registrator as a user runs it, and a Consul that checks.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { instancesOf, type Observation } from "../../src/backends/backend.ts";
import { openConsul } from "../../src/backends/consul/consul.ts";
import { parseBackendUrl } from "../../src/backends/url.ts";
import { eventually } from "../backends/contract/suite.ts";
import { type Consul, startConsul } from "../servers/consul.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { importWebImage, webImage } from "../servers/image.ts";
import { type FaultProxy, startFaultProxy } from "../servers/proxy.ts";
import { waitFor } from "../servers/wait.ts";
import { type Program, startProgram } from "./program.ts";

const within = 60_000;

describe("a registrator whose containers order checks", () => {
  let host: DockerHost;
  let consul: Consul;
  let proxy: FaultProxy;
  let program: Program;
  let observation: Observation;
  let close: () => Promise<void>;
  const args = () => [
    ...["--docker", host.dockerHost, "--ip", host.address, "--ttl", "9s", "--resync", "2s"],
    ...["--node", "checked", "--allow-check-scripts", `consul://127.0.0.1:${proxy.port}`],
  ];
  const start = async () => {
    program = await startProgram("registrator", args());
    await waitFor("sync", async () => (await program.notReady()) === "", { within });
  };
  beforeAll(async () => {
    [host, consul] = await Promise.all([
      startDockerHost(),
      startConsul({ hcl: "enable_script_checks = true" }),
    ]);
    proxy = await startFaultProxy({ upstream: { port: consul.port }, protocol: "http" });
    await importWebImage(host);
    const backend = await openConsul(parseBackendUrl(`consul://127.0.0.1:${consul.port}`), { env: {} });
    observation = backend.observe({ services: "all" });
    close = () => backend.close();
    const run = (name: string, checks: Readonly<Record<string, string>>) =>
      host.docker([
        ...["run", "-d", "-p", "80", "--name", name, "--label", `SERVICE_NAME=${name}`],
        ...Object.entries(checks).flatMap(([key, value]) => ["--label", `SERVICE_80_CHECK_${key}=${value}`]),
        webImage,
      ]);
    await run("good", { HTTP: "/", "2_TCP": "true", INTERVAL: "1s" });
    await run("bad", { HTTP: "/nothing", INTERVAL: "1s" });
    await run("scripted", { SCRIPT: "test $SERVICE_IP = 'somewhere else'", INTERVAL: "1s" });
    await run("beating", { TTL: "9s" });
    await run("odd", { HTPP: "/", HTTP: "/", INTERVAL: "1s" });
    await start();
  });
  afterAll(async () => {
    await program?.stop();
    await observation?.close();
    await close?.();
    await proxy?.stop();
    await Promise.all([consul?.stop(), host?.stop()]);
  });

  it("shows by their states what Consul finds", async () => {
    const wanted = { bad: "unhealthy", beating: "ready", good: "ready", odd: "ready", scripted: "unhealthy" };
    for (const [service, state] of Object.entries(wanted)) {
      await eventually(observation, (now) => instancesOf(now, service)?.[0]?.state === state, within);
    }
    const log = program.logTail(1000);
    expect(log).toContain("CHECK_HTPP: no such check");
  });

  it("writes nothing again while nothing changes, and keeps beating", async () => {
    const writes = () =>
      proxy.counts().requests.filter(({ path }) => path.includes("/agent/service/register")).length;
    const reads = () => proxy.counts().requests.filter(({ path }) => path.startsWith("/v1/agent/checks"));
    proxy.resetCounts();
    // Beyond the TTL of the beating one.
    await waitFor("some resyncs", () => reads().length >= 6, { within });
    expect(writes()).toBe(0);
    await eventually(observation, (now) => instancesOf(now, "beating")?.[0]?.state === "ready", within);
    await program.stop();
    proxy.resetCounts();
    await start();
    await waitFor("some resyncs", () => reads().length >= 2, { within });
    // The heartbeat's own, and the script and the misspelt check, of whose orders Consul keeps the digests.
    expect(writes()).toBe(3);
  });
});
