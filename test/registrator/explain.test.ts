import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { explain } from "../../src/registrator/explain.ts";
import { openStateDir } from "../../src/state-dir.ts";
import { createMetrics } from "../../src/status/metrics.ts";
import { startStatusServer } from "../../src/status/server.ts";
import { runHere } from "../commands/run-here.ts";
import { dockerCli } from "../servers/docker.ts";
import { readOnly, startDockerProxy } from "../servers/docker-proxy.ts";
import { runWeb, type WebContainer, webImage } from "../servers/image.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { container, engine, exposed, published, settings } from "./build.ts";

const host = "10.0.0.5";

describe("explain", () => {
  const known = { id: "id-web-1", name: "web-1", state: "running" };
  const of = (world: ReturnType<typeof engine>, over: Parameters<typeof settings>[0] = {}) =>
    explain(known, { engine: world, settings: settings(over), hostAddress: host, ordered: [] });

  it("tells the instances, what is not registered, and what should be mended", () => {
    const labels = {
      SERVICE_NAME: "shop",
      SERVICE_80_WEIGHT: "heavy",
      SERVICE_443_PORT: "x",
      SERVICE_8080_NAME: "y",
    };
    const ports = [published(80, 1), exposed(81), published(443, 2)];
    expect(of(engine(container({ labels, ports })))).toMatchObject({
      container: { ...known, image: "acme/web:1.2" },
      node: "host1",
      rules: "portolan",
      hostAddress: host,
      instances: [{ instance: { service: "shop", port: 1 }, origins: { service: "label SERVICE_NAME" } }],
      notRegistered: [
        { port: "81", reason: expect.stringContaining("not published") },
        { port: "443", reason: expect.stringContaining("label SERVICE_443_PORT=x: not a port") },
      ],
      remarks: [
        { port: "80", reason: expect.stringContaining("label SERVICE_80_WEIGHT=heavy") },
        {
          reason:
            "label SERVICE_8080_NAME has no effect: the container has no port 8080; it has: 80, 81, 443",
        },
      ],
    });
  });

  it.each([
    [
      "is not selected",
      engine(container()),
      { select: { label: "team", value: "a" } },
      /--select team=a.*no such label/,
    ],
    [
      "has another value",
      engine(container({ labels: { team: "b" } })),
      { select: { label: "team", value: "a" } },
      /label is b/,
    ],
    ["does not run", engine(), {}, /does not run \(running\)/],
    ["cannot be read", { ...engine(), unread: new Map([["id-web-1", "no answer"]]) }, {}, /no answer/],
    [
      "is in a crash loop",
      { ...engine(), crashing: new Map([["id-web-1", container()]]) },
      {},
      /ended 3 times/,
    ],
  ])("tells why a container is not registered that %s", (_what, world, over, reason) => {
    const { instances, notRegistered } = of(world, over);
    expect(instances).toEqual([]);
    expect(notRegistered).toEqual([{ reason: expect.stringMatching(reason) }]);
  });

  it("tells that an older container holds the id", () => {
    const labels = { SERVICE_ID: "x" };
    const old = container({ name: "old", id: "id-old", labels });
    const { instances, remarks } = of(engine(old, container({ labels })));
    expect(instances).toEqual([]);
    expect(remarks).toEqual([
      { reason: expect.stringMatching(/^id x \(label SERVICE_ID\) is taken by container old/) },
    ]);
  });

  it("tells what is not known of the host's address", () => {
    const evidence = {
      engine: engine(container()),
      settings: settings(),
      hostAddress: { unknown: "no route" },
      ordered: { unknown: "no answer" },
    };
    expect(explain(known, evidence)).toMatchObject({
      hostAddress: null,
      hostAddressUnknown: "no route",
      overridesUnknown: "no answer",
      notRegistered: [{ port: "80", reason: "no route" }],
    });
  });

  it("says what operators have ordered, with their names", () => {
    const evidence = { engine: engine(container()), settings: settings(), hostAddress: host };
    const by = { since: "2026-01-31T12:00:00Z", by: "ann@lb" };
    const target = { id: "host1:web-1:80", node: "host1", container: "id-web-1" };
    const ordered = [
      { target, tags: { ...by, added: ["blue"], removed: [] } },
      { target: { node: "host1" }, drain: by },
    ];
    const [one] = explain(known, { ...evidence, ordered }).instances;
    expect(one?.instance).toMatchObject({ tags: ["blue"], state: "draining" });
    expect(one?.origins).toMatchObject({
      tags: "override by ann@lb since 2026-01-31T12:00:00Z",
      state: "override by ann@lb since 2026-01-31T12:00:00Z",
    });
  });

  it("applies registrator's rules with --compat", () => {
    const labels = { SERVICE_TAGS: "a,b" };
    const { rules, instances } = of(engine(container({ labels })), { compat: "registrator" });
    expect(rules).toBe("registrator");
    expect(instances[0]?.instance.tags).toEqual(["b", "a"]);
  });
});

describe("portolan explain", () => {
  const docker = dockerCli(inject("docker"));
  const cwd = tempDir("explain");
  const name = (what: string) => `explained-${what}-${process.pid}`;
  const all: WebContainer[] = [];
  const run = (...words: string[]) => runHere(["explain", "--docker", docker.dockerHost, ...words], cwd);
  let web: WebContainer;

  beforeAll(async () => {
    const labels = { SERVICE_NAME: "shop", SERVICE_80_WEIGHT: "heavy", team: "a" };
    const args = ["--expose", "81", "--env", "SECRET=do-not-tell"];
    web = await runWeb(docker, { name: name("web"), labels, publish: ["80", "127.0.0.1::9000"], args });
    const ended = await runWeb(docker, { name: name("ended") });
    all.push(web, ended);
    await ended.stop(1);
    await docker.docker([
      ...["run", "--detach", "--name", name("side"), "--network", `container:${web.id}`],
      ...["--label", "SERVICE_PORTS=80", webImage, "sleep", "1000"],
    ]);
  });
  afterAll(async () => {
    await docker.docker(["rm", "--force", name("side")]);
    await Promise.all(all.map((one) => one.remove()));
  });

  it("tells people each field and its source, each port and its reason", async () => {
    const { code, stdout, stderr } = await run(name("web"), "-ip", host, "--node", "n1");
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const port = await web.hostPort(80);
    const lines = stdout.split("\n").map((line) => line.trim().replace(/ {2,}/g, "  "));
    expect(lines).toEqual([
      `${name("web")} (${web.id.slice(0, 12)}), ${webImage}, running`,
      "node n1; rules of portolan; the host's address is 10.0.0.5",
      "",
      `Registered: shop at ${host}:${port}`,
      "service  shop  label SERVICE_NAME",
      `id  n1:${name("web")}:80  the node, the container's name and its port`,
      "address  10.0.0.5  --ip 10.0.0.5",
      `port  ${port}  published at 0.0.0.0:${port}`,
      "protocol  tcp  port 80 of the container",
      "tags  -  none is given",
      "weight  1  the default, for label SERVICE_80_WEIGHT is not a weight",
      "state  ready  it runs, and has no HEALTHCHECK",
      "",
      "Not registered besides:",
      expect.stringMatching(/^port 81: the port is not published/),
      expect.stringMatching(/^port 9000: the loopback address 127.0.0.1 .* another address/),
      "",
      "To be mended:",
      expect.stringMatching(/^port 80: label SERVICE_80_WEIGHT=heavy: not a weight/),
      "",
    ]);
  });

  it("tells programs the same, as JSON, and no secret", async () => {
    const { code, stdout } = await run(
      web.id.slice(0, 9),
      "--json",
      "--ip",
      host,
      "--tags",
      "x,{{container.name}}",
    );
    expect(code).toBe(0);
    expect(stdout).not.toContain("do-not-tell");
    expect(JSON.parse(stdout)).toMatchObject({
      container: { id: web.id, name: name("web"), image: webImage, state: "running" },
      rules: "portolan",
      hostAddress: host,
      instances: [
        {
          service: "shop",
          tags: ["x", name("web")],
          container: { id: web.id },
          origins: { service: "label SERVICE_NAME", tags: "--tags" },
        },
      ],
      notRegistered: [{ port: "81" }, { port: "9000" }],
      remarks: [{ port: "80" }],
    });
  });

  it("takes the registrator's options, from the command line, the environment and the config file", async () => {
    const internal = await run(web.id, "-internal", "-cleanup", "-ttl", "30");
    expect(internal.stdout).toContain(`address   ${await web.address()}`);
    const variable = await runHere(["explain", name("web")], cwd, {
      DOCKER_HOST: docker.dockerHost,
      PORTOLAN_IP: "10.3.3.3",
      PORTOLAN_NAME: "{{service}}-{{labels.team}}",
    });
    expect(variable.stdout).toContain("Registered: shop-a at 10.3.3.3:");
    const upstream = await run(name("web"), "--compat", "registrator", "-ip", host);
    expect(upstream.stdout).toContain("rules of registrator");
  });

  it("follows another container's network", async () => {
    const { stdout } = await run(name("side"), "--ip", host);
    expect(stdout).toContain(`at ${host}:${await web.hostPort(80)}\n`);
  });

  it("tells that a container does not run, or is not selected", async () => {
    expect(await run(name("ended"), "--ip", host)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/Not registered:\n {2}it does not run \(exited\)\n$/),
    });
    expect((await run(name("web"), "--select", "team=b", "--ip", host)).stdout).toMatch(
      /Not registered:\n {2}--select team=b: the container's label is a\n$/,
    );
  });

  it("tells of a crash loop, whether the container runs at the moment or not", async () => {
    const crashing = name("crashing");
    await docker.docker(["run", "--detach", "--name", crashing, "--restart", "always", webImage, "false"]);
    try {
      const restarts = async () =>
        Number(await docker.docker(["inspect", "--format", "{{.RestartCount}}", crashing]));
      await waitFor("three ends", async () => (await restarts()) >= 3, { within: 30_000 });
      for (let round = 0; round < 5; round += 1) {
        expect((await run(crashing, "--ip", host)).stdout).toMatch(/Not registered:\n {2}ended 3 times/);
      }
    } finally {
      await docker.docker(["rm", "--force", crashing]);
    }
  });

  it("ends with 1 for a container that is not there, and names the nearest", async () => {
    const { code, stderr } = await run(`${name("web")}x`);
    expect(code).toBe(1);
    expect(stderr).toBe(
      `portolan: CONTAINER_UNKNOWN: there is no container ${name("web")}x; the nearest name is ${name("web")}\n`,
    );
  });

  it("ends with 78 without a container, and with 1 without a Docker", async () => {
    expect(await run()).toMatchObject({ code: 78, stderr: expect.stringContaining("needs a container") });
    const gone = await runHere(["explain", "web", "--docker", "unix:///nonexistent/docker.sock"], cwd);
    expect(gone).toMatchObject({ code: 1, stderr: expect.stringContaining("DOCKER_UNREACHABLE") });
  });

  it("tells what a templater of this host holds back of it, and of nothing else", async () => {
    const targets = [
      {
        destination: "/etc/lb.cfg",
        heldBack: ["other", "shop"].map((service) => ({ service, why: `${service}: no such balance` })),
      },
    ];
    const server = await startStatusServer({
      ...{ host: "127.0.0.1", port: 0, version: "1", command: "agent", metrics: createMetrics() },
      daemon: () => ({ notReady: () => [], status: () => ({ templater: { targets } }) as object }),
    });
    const folder = tempDir("explain-state");
    const state = await openStateDir(folder);
    await state.write("listen", server.address);
    const text = await run(name("web"), "--ip", host, "--state-dir", folder);
    const json = await run(name("web"), "--ip", host, "--state-dir", folder, "--json");
    await state.close();
    await server.close();
    expect(text.stdout.split("\n\n").at(-1)).toBe(
      "Held back:\n  /etc/lb.cfg has shop as it was, because its check refuses it now: shop: no such balance\n",
    );
    expect(JSON.parse(json.stdout)).toMatchObject({
      heldBack: [{ destination: "/etc/lb.cfg", service: "shop", why: "shop: no such balance" }],
    });
  });

  it("asks Docker nothing that a read-only proxy would refuse", async () => {
    const listen = join(tempDir("socket"), "d.sock");
    const proxy = await startDockerProxy({ upstream: docker.socket, listen, allow: readOnly });
    const { code } = await runHere(["explain", name("web"), "--docker", proxy.url, "--ip", host], cwd);
    const refused = proxy.calls().filter(({ allowed }) => !allowed);
    await proxy.stop();
    expect({ code, refused }).toEqual({ code: 0, refused: [] });
  });
});
