import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Container } from "../../src/registrator/docker/container.ts";
import { type Engine, observeDocker } from "../../src/registrator/docker/engine.ts";
import type { Source } from "../../src/source.ts";
import { eventually } from "../backends/contract/suite.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { readOnly, startDockerProxy } from "../servers/docker-proxy.ts";
import { importWebImage, runWeb, type WebContainer } from "../servers/image.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

let host: DockerHost;
beforeAll(async () => {
  host = await startDockerHost({ liveRestore: true });
  await importWebImage(host);
});
afterAll(() => host?.stop());

describe("observeDocker on a real Docker", () => {
  let source: Source<Engine>;
  let web: WebContainer;
  /** Every value of the container that was published, oldest first. */
  let seen: (Container | undefined)[];
  const of = (engine: Engine, id = web.id) => engine.containers.get(id);

  beforeEach(async () => {
    web = await runWeb(host, { publish: ["80"] });
    source = observeDocker({
      url: host.dockerHost,
      env: {},
      resync: 2000,
      readable: (name) => name.startsWith("SERVICE_"),
      stoppingFor: () => 3000,
      keeps: () => false,
    });
    await eventually(source, (engine) => of(engine) !== undefined);
    seen = [];
    source.subscribe(() => {
      const now = source.current();
      if (now.known) seen.push(of(now.value));
    });
  });
  afterEach(async () => {
    await source.close();
    await web.remove();
  });

  it("negotiates the API and narrows what Docker says", async () => {
    const now = source.current();
    if (!now.known) throw new Error("unknown");
    expect(now.value).toMatchObject({
      id: expect.stringMatching(/.+/),
      apiVersion: expect.stringMatching(/^1\.\d+$/),
    });
    expect(of(now.value)).toMatchObject({
      name: web.name,
      paused: false,
      stopping: false,
      health: "none",
      ports: [{ port: 80, protocol: "tcp", bindings: [{ address: "0.0.0.0" }, { address: "::" }] }],
    });
  });

  it("shows a start and an end, and leaves other containers the same objects", async () => {
    const before = source.current();
    const other = await runWeb(host, {});
    const during = await eventually(source, (engine) => of(engine, other.id) !== undefined);
    expect(before.known && of(before.value)).toBe(of(during));
    await other.remove();
    await eventually(source, (engine) => of(engine, other.id) === undefined);
  });

  it("tells of the stop signal before the end", async () => {
    await web.stop();
    await eventually(source, (engine) => of(engine) === undefined);
    const states = seen.map((container) => (container ? (container.stopping ? "stopping" : "runs") : "gone"));
    expect(states.filter((state, at) => state !== states[at - 1])).toEqual(["stopping", "gone"]);
  });

  it("does not take another signal for the stop signal, and returns a container that survives", async () => {
    const lingering = await runWeb(host, { lingers: 20 });
    await eventually(source, (engine) => of(engine, lingering.id) !== undefined);
    await host.docker(["kill", "--signal", "HUP", lingering.id]);
    await host.docker(["kill", "--signal", "TERM", lingering.id]);
    const stopping = await eventually(source, (engine) => of(engine, lingering.id)?.stopping === true);
    expect(of(stopping, lingering.id)?.stopping).toBe(true);
    await eventually(source, (engine) => of(engine, lingering.id)?.stopping === false, 30_000);
    await lingering.remove();
  });

  it("sees a drain that began before it was started", async () => {
    const lingering = await runWeb(host, { lingers: 20 });
    await host.docker(["kill", "--signal", "TERM", lingering.id]);
    const late = observeDocker({
      url: host.dockerHost,
      env: {},
      resync: 60_000,
      readable: () => false,
      stoppingFor: () => 60_000,
      keeps: () => false,
    });
    const first = await eventually(late, (engine) => of(engine, lingering.id) !== undefined);
    expect(of(first, lingering.id)?.stopping).toBe(true);
    await late.close();
    await lingering.remove();
  });

  it("reads a container again that `docker update` touches, and finds it the same", async () => {
    // Nothing that registration reads can be changed so: what shows is that it asks, and that nothing follows.
    const listen = join(tempDir("socket"), "d.sock");
    const proxy = await startDockerProxy({ upstream: host.socket, listen, allow: readOnly });
    const proxied = observeDocker({
      url: proxy.url,
      env: {},
      resync: 60_000,
      readable: () => false,
      stoppingFor: () => 3000,
      keeps: () => false,
    });
    const before = of(await eventually(proxied, (engine) => of(engine) !== undefined));
    proxy.forget();
    await host.docker(["update", "--cpu-shares", "512", web.id]);
    const asks = () => proxy.calls().filter(({ path }) => path === `/containers/${web.id}/json`).length;
    await waitFor("a read", () => asks() > 0, { within: 10_000 });
    await eventually(proxied, (engine) => of(engine) === before);
    expect(seen.every((container) => container === seen[0])).toBe(true);
    await proxied.close();
    await proxy.stop();
  });

  it("follows pause, unpause, rename and networks", async () => {
    await host.docker(["pause", web.id]);
    await eventually(source, (engine) => of(engine)?.paused === true);
    await host.docker(["unpause", web.id]);
    await eventually(source, (engine) => of(engine)?.paused === false);
    await host.docker(["rename", web.id, `${web.name}-renamed`]);
    await eventually(source, (engine) => of(engine)?.name === `${web.name}-renamed`);
    await host.docker(["network", "create", "back"]);
    await host.docker(["network", "connect", "back", web.id]);
    await eventually(source, (engine) => of(engine)?.networks.some(({ name }) => name === "back") === true);
    await host.docker(["network", "disconnect", "back", web.id]);
    await eventually(source, (engine) => of(engine)?.networks.length === 1);
    await host.docker(["network", "rm", "back"]);
  });

  it("follows the health of a container", async () => {
    const args = ["--health-cmd", "test -e /tmp/healthy", "--health-interval", "1s", "--health-retries", "1"];
    const sick = await runWeb(host, { args });
    await eventually(source, (engine) => of(engine, sick.id)?.health === "starting");
    await host.docker(["exec", sick.id, "touch", "/tmp/healthy"]);
    await eventually(source, (engine) => of(engine, sick.id)?.health === "healthy", 20_000);
    await host.docker(["exec", sick.id, "rm", "/tmp/healthy"]);
    await eventually(source, (engine) => of(engine, sick.id)?.health === "unhealthy", 20_000);
    await sick.remove();
  });

  it("keeps what it knows while Docker is away, and reads everything anew afterwards", async () => {
    await host.kill();
    await waitFor("a problem", () => source.current().problem, { within: 10_000 });
    const away = source.current();
    expect(away.problem?.kind).toBe("unreachable");
    expect(away.known && of(away.value)?.name).toBe(web.name);
    await host.startDaemon();
    await waitFor("no problem", () => source.current().problem === undefined, { within: 20_000 });
    expect(seen.every((container) => container !== undefined)).toBe(true);
    const other = await runWeb(host, {});
    await eventually(source, (engine) => of(engine, other.id) !== undefined);
    await other.remove();
  });

  it("notices a Docker that accepts and never answers", async () => {
    host.pause();
    try {
      await waitFor("a problem", () => source.current().problem, { within: 60_000 });
      const away = source.current();
      expect(away.known && of(away.value)?.name).toBe(web.name);
    } finally {
      host.resume();
    }
    await waitFor("no problem", () => source.current().problem === undefined, { within: 20_000 });
  });
});
