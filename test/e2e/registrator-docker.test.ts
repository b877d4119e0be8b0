import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { importWebImage, runWeb, type WebContainer, type WebOptions } from "../servers/image.ts";
import { waitFor } from "../servers/wait.ts";
import {
  each,
  holds,
  inSync,
  type Sites,
  soon,
  startSitesOfOne,
  stopSites,
  truth,
  witness,
} from "./registrator-world.ts";

const web = (host: DockerHost, name: string, options: WebOptions = {}): Promise<WebContainer> =>
  runWeb(host, {
    name,
    publish: ["80"],
    ...options,
    labels: { SERVICE_NAME: `the-${name}`, ...options.labels },
  });

describe.each(["installed", "newest"] as const)("the life of a container on the %s Docker", (release) => {
  let host: DockerHost;
  let sites: Sites;
  beforeAll(async () => {
    host = await startDockerHost({ release });
    await importWebImage(host);
    sites = await startSitesOfOne(host);
  });
  afterAll(async () => {
    await stopSites(sites);
    await host?.stop();
  });

  const isTrue = () => each(sites, (site) => holds(site, () => truth(host)));
  /** Waits until every store holds a line that ends like this for a container, or none. */
  const has = (name: string, end: string | undefined) =>
    each(sites, ({ registry }) =>
      waitFor(
        `${name} to be ${end}`,
        async () => {
          const lines = (await registry.lines()).filter((line) => line.split(" ")[1] === name);
          const fits =
            end === undefined ? lines.length === 0 : lines.some((line) => line.endsWith(` ${end}`));
          if (!fits) throw new Error(JSON.stringify(lines));
          return true;
        },
        soon,
      ),
    );
  const status = async () => {
    const [site] = sites.values();
    return (await site?.registrator.status()) as { docker: { apiVersion: string } };
  };

  it("is spoken to in its own version", async () => {
    const served = await host.docker(["version", "--format", "{{.Server.APIVersion}}"]);
    expect((await status()).docker.apiVersion).toBe(served);
    expect(host.major()).toBeGreaterThanOrEqual(release === "newest" ? 28 : 20);
  });

  it("R6: health decides what is offered as ready", async () => {
    const container = await web(host, "health", {
      args: ["--health-cmd", "test -e /tmp/well", "--health-interval", "250ms", "--health-retries", "2"],
    });
    await has("health", "unhealthy");
    await host.docker(["exec", container.id, "touch", "/tmp/well"]);
    await has("health", "ready");
    await host.docker(["exec", container.id, "rm", "/tmp/well"]);
    await has("health", "unhealthy");
    await container.remove();
    await has("health", undefined);
  });

  it("R6: what starts is not ready", async () => {
    const container = await web(host, "slow", {
      args: ["--health-cmd", "true", "--health-interval", "1h", "--health-start-period", "1h"],
    });
    await has("slow", "starting");
    await isTrue();
    await container.remove();
  });

  it("R1 R7: drains at its stop signal and is gone at its end, and a killed one too", async () => {
    const container = await web(host, "drains", { lingers: 30 });
    await has("drains", "ready");
    await host.docker(["kill", "--signal", "TERM", container.id]);
    await has("drains", "draining");
    await container.kill();
    await has("drains", undefined);
    await container.start();
    await has("drains", "ready");
    await container.stop(1);
    await has("drains", undefined);
    await isTrue();
  });

  it("ends by itself", async () => {
    await web(host, "dies", { command: ["sh", "-c", "sleep 2; exit 3"] });
    await has("dies", "ready");
    await has("dies", undefined);
  });

  it("is paused and goes on, gets another name and another network", async () => {
    const container = await web(host, "changes");
    await has("changes", "ready");
    await host.docker(["pause", container.id]);
    await has("changes", "paused");
    await isTrue();
    await host.docker(["unpause", container.id]);
    await has("changes", "ready");
    await host.docker(["rename", container.id, "changed"]);
    await has("changed", "ready");
    await has("changes", undefined);
    await host.docker(["network", "create", "further"]);
    await host.docker(["network", "connect", "further", container.id]);
    await host.docker(["network", "disconnect", "bridge", container.id]);
    await isTrue();
    await host.docker(["restart", "--time", "1", container.id]);
    await isTrue();
    await container.remove();
    await isTrue();
  });

  it("R8: its Docker ends it and starts it again", async () => {
    await web(host, "returns", { args: ["--restart", "always"] });
    await web(host, "stays-away");
    await has("stays-away", "ready");
    await host.restart();
    await has("stays-away", undefined);
    await has("returns", "ready");
    await isTrue();
    for (const site of sites.values()) {
      await inSync(site);
      // One outage is one line, however many tries it takes.
      const log = site.registrator.logTail(Number.MAX_SAFE_INTEGER);
      const outages = log.split("\n").filter((line) => line.includes("Docker is not reached"));
      expect(outages).toEqual([expect.stringContaining("DOCKER_UNREACHABLE")]);
    }
  });
});

describe("a Docker that is upgraded under a running registrator", () => {
  let host: DockerHost;
  let sites: Sites;
  beforeAll(async () => {
    host = await startDockerHost({ liveRestore: true });
    await importWebImage(host);
    for (const name of ["first", "second"]) await web(host, name);
    sites = await startSitesOfOne(host);
  });
  afterAll(async () => {
    await stopSites(sites);
    await host?.stop();
  });

  /** Lets the daemon go away and come back differently; returns what was missing meanwhile. */
  const during = async (change: () => Promise<void>): Promise<readonly string[]> => {
    const lines = await truth(host);
    await each(sites, (site) => holds(site, () => lines));
    const watches = [...sites.values()].map((site) => witness(site, lines));
    await change();
    expect(await truth(host)).toEqual(lines);
    await each(sites, inSync);
    await each(sites, (site) => holds(site, () => lines));
    return (await Promise.all(watches.map((watch) => watch.stop()))).flatMap(({ missed }) => missed);
  };
  const status = async () => {
    const [site] = sites.values();
    return (await site?.registrator.status()) as { docker: { apiVersion: string; id: string } };
  };

  it("R2 R8: is spoken to in its new version and known by its new identity, and no record is ever gone", async () => {
    const identity = () => host.docker(["info", "--format", "{{.ID}}"]);
    const before = await identity();
    const missed = await during(async () => {
      await host.upgrade();
      const served = await host.docker(["version", "--format", "{{.Server.APIVersion}}"]);
      await waitFor("the new version", async () => (await status()).docker.apiVersion === served, soon);
    });
    // Docker 25 and newer keep their identity elsewhere, and do not know where older ones had it.
    expect(await identity()).not.toBe(before);
    expect(missed).toEqual([]);
    await web(host, "third");
    await each(sites, (site) => holds(site, () => truth(host)));
  });

  it("R2: may come back with another identity: its records become that one's and are never gone", async () => {
    const root = await host.docker(["info", "--format", "{{.DockerRootDir}}"]);
    const missed = await during(async () => {
      await host.stopDaemon();
      rmSync(join(root, "engine-id"));
      await host.startDaemon();
      const id = await host.docker(["info", "--format", "{{.ID}}"]);
      await waitFor("the new identity", async () => (await status()).docker.id === id, soon);
    });
    expect(missed).toEqual([]);
    // Its owner can remove them.
    const [container] = await host.docker(["ps", "--quiet"]).then((text) => text.split("\n"));
    await host.docker(["rm", "--force", container ?? ""]);
    await each(sites, (site) => holds(site, () => truth(host)));
  });
});
