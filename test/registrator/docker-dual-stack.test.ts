import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { desired } from "../../src/registrator/desired.ts";
import { type DockerSource, observeDocker } from "../../src/registrator/docker/engine.ts";
import type { RegistratorSettings } from "../../src/registrator/settings.ts";
import { eventually } from "../backends/contract/suite.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { type DockerProxy, readOnly, startDockerProxy } from "../servers/docker-proxy.ts";
import { importWebImage, runWeb, type WebContainer } from "../servers/image.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { settings } from "./build.ts";

describe("a Docker with IPv4 and IPv6", () => {
  let host: DockerHost;
  let proxy: DockerProxy;
  let source: DockerSource;
  const all: WebContainer[] = [];
  beforeAll(async () => {
    host = await startDockerHost({ args: ["--ipv6", "--fixed-cidr-v6", "fd5a:6d2e::/64"] });
    await importWebImage(host);
    proxy = await startDockerProxy({
      upstream: host.socket,
      listen: join(tempDir("socket"), "d.sock"),
      allow: readOnly,
    });
    source = observeDocker({
      url: proxy.url,
      env: {},
      resync: 60_000,
      readable: () => false,
      stoppingFor: () => 3000,
      keeps: () => false,
    });
  });
  afterAll(async () => {
    await source?.close();
    await proxy?.stop();
    for (const one of all) await one.remove();
    await host?.stop();
  });
  const run = async (...publish: string[]) => {
    const web = await runWeb(host, { publish });
    all.push(web);
    const now = await eventually(source, ({ containers }) => containers.has(web.id));
    /** Where it is registered, on a host with these addresses. */
    return (address: string, other: string | undefined, over: Partial<RegistratorSettings> = {}) =>
      desired(now, settings(over), address, other)
        .instances.filter(({ container }) => container?.id === web.id)
        .map((instance) => `${instance.address} ${instance.port}`);
  };

  it("gives a port that is published on one family the host's address of that family", async () => {
    const six = await run("[::]:8086:80");
    expect(six("10.0.0.5", "fd00::5")).toEqual(["fd00::5 8086"]);
    expect(six("10.0.0.5", undefined)).toEqual([]);
    const four = await run("0.0.0.0:8084:80");
    expect(four("fd00::5", "10.0.0.5")).toEqual(["10.0.0.5 8084"]);
  });

  it("asks about no container again after a full list, which shows both addresses", async () => {
    await run("8088:80");
    const id = all.at(-1)?.id;
    proxy.forget();
    source.refresh();
    const calls = (path: string) => proxy.calls().filter((call) => call.path === path).length;
    await waitFor("a list", () => calls("/containers/json") > 0, { within: 10_000 });
    // What is seen after the list shows that the list has been looked at.
    await run("8089:80");
    expect(calls(`/containers/${id}/json`)).toBe(0);
  });

  it("registers a port that is published on both once", async () => {
    const both = await run("8085:80");
    expect(both("10.0.0.5", "fd00::5")).toEqual(["10.0.0.5 8085"]);
    expect(both("fd00::5", "10.0.0.5")).toEqual(["fd00::5 8085"]);
  });

  it("takes the container's own address of the family by which the host is reached", async () => {
    const inner = await run("8087:80");
    const [four] = inner("10.0.0.5", "fd00::5", { internal: true });
    const [six] = inner("fd00::5", "10.0.0.5", { internal: true });
    expect(four).toMatch(/^172\.\d+\.\d+\.\d+ 80$/);
    expect(six).toMatch(/^fd5a:6d2e::[0-9a-f:]+ 80$/);
  });
});
