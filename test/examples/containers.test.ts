import { readFileSync, statSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { runWeb } from "../servers/image.ts";
import { ensureInstalled } from "../servers/install.ts";
import { freePort } from "../servers/ports.ts";
import { type FaultProxy, startFaultProxy } from "../servers/proxy.ts";
import { waitFor } from "../servers/wait.ts";
import { importMachineImage } from "./machine-image.ts";
import { readmeBlocks, type Stage, startBeside, startStage } from "./stage.ts";

const program = ["/usr/local/bin/node", "/portolan/dist/cli.js"];

/** The first line of every README that builds an image; once is enough. */
const buildPortolan = "docker build --tag portolan ../..\n";

/** One test follows the other: images are made of those before, and the first container that is registered serves all. */
let stage: Stage;
/** An etcd at an address that containers reach. */
let etcd: FaultProxy;
let backend: string;
beforeAll(async () => {
  stage = await startStage();
  // The root namespace's end of the switch that the host is cabled to.
  const root = stage.address.replace(/\d+$/, "254");
  etcd = await startFaultProxy({
    upstream: { port: inject("etcd").port },
    listen: { host: root, port: await freePort() },
  });
  backend = `etcd://${root}:${etcd.port}/examples`;
  await stage.shell("lb-haproxy", buildPortolan);
}, 300_000);
afterAll(async () => {
  await stage?.stop();
  await etcd?.stop();
});

/** Waits until so many containers, which say their host names, answer in turn. */
async function answeredBy(count: number, url: string): Promise<void> {
  const ask = `for i in $(seq 6); do curl --silent ${url}; done | sort --unique`;
  await waitFor(
    `${count} to answer ${url}`,
    async () => {
      const lines = (await stage.shell(".", ask)).split("\n");
      const names = lines.filter((line) => /^[0-9a-f]{12}$/.test(line));
      if (names.length !== count) throw new Error(lines.join(", "));
      return true;
    },
    { within: 60_000, every: 200 },
  );
}

describe("the image", () => {
  it("holds Node.js, the program and nothing else, and says what it is", async () => {
    const [inspected] = JSON.parse(await stage.docker(["inspect", "portolan"])) as [
      { readonly Config: { readonly User: string; readonly Labels: Readonly<Record<string, string>> } },
    ];
    expect(inspected.Config.User).toBe("65532:65532");
    expect(inspected.Config.Labels["org.opencontainers.image.title"]).toBe("Portolan");
    const version = await stage.docker("run --rm --read-only --network none portolan --version".split(" "));
    expect(version).toBe((JSON.parse(readFileSync("package.json", "utf8")) as { version: string }).version);
    const loading = await stage.shell(
      ".",
      "docker run --rm --env NODE_DEBUG=portolan portolan --version 2>&1",
    );
    expect(loading).toContain("program.cjs, compiled before\n");
    await expect(stage.docker(["run", "--rm", "--entrypoint", "/bin/sh", "portolan"])).rejects.toThrow(
      /no such file/,
    );
  });

  it("registers containers as nobody in particular, on a read-only root", async () => {
    const name = "registrator";
    await stage.docker([
      ...["run", "--detach", "--name", name, "--read-only", "--network", "host"],
      ...["--volume", `${stage.socket}:/var/run/docker.sock`],
      ...["--group-add", String(statSync(stage.socket).gid)],
      ...["--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
      ...["portolan", "registrator", backend],
    ]);
    await runWeb(stage, {
      name: "web-1",
      publish: ["80"],
      labels: { SERVICE_HTTP_HOST: "web.test", SERVICE_NAME: "shop" },
    });
    const services = async () => {
      const words = ["services", "--json", "--backend", backend];
      const text = await stage.docker(["exec", name, ...program, ...words]).catch(() => "[]");
      return JSON.parse(text) as readonly { readonly service: string; readonly address: string }[];
    };
    await waitFor("the record", async () => (await services()).length === 1, { within: 30_000 }).catch(
      async (error: Error) => {
        const log = await stage.docker(["logs", name]).catch(String);
        throw new Error(`${error.message}\n${log}`, { cause: error });
      },
    );
    expect(await services()).toMatchObject([{ service: "shop", address: stage.address }]);
  });
});

describe.each(["haproxy", "nginx"])("lb-%s", (proxy) => {
  const example = `lb-${proxy}`;
  const inExample = (commands: string) => stage.shell(example, commands);
  afterAll(() => inExample(`docker rm --force --volumes ${proxy} templater && docker volume rm templater`));

  it("serves what is registered, also after a crash of the proxy, and goes on without the templater", async () => {
    const [build = "", run = ""] = readmeBlocks(example);
    expect(build).toContain(buildPortolan);
    await inExample(build.replace(buildPortolan, ""));
    expect(run).toContain("consul://10.0.0.2:8500");
    await inExample(run.replace("consul://10.0.0.2:8500", backend));
    await stage.serves("web.test", "web-1");
    await stage.serves("other.test", 404);

    await inExample(`kill -9 $(docker inspect --format {{.State.Pid}} ${proxy})`);
    await stage.serves("web.test", "web-1");
    const late = { SERVICE_HTTP_HOST: "late.test" };
    await runWeb(stage, { name: `late-${proxy}`, publish: ["80"], labels: late });
    await stage.serves("late.test", `late-${proxy}`);

    await inExample("docker stop --time 10 templater");
    expect(await inExample("docker inspect --format {{.State.ExitCode}} templater")).toBe("0\n");
    await stage.serves("web.test", "web-1");
    await stage.docker(["rm", "--force", `late-${proxy}`]);
  }, 180_000);
});

describe("compose", () => {
  const inExample = (commands: string) => stage.shell("compose", commands);
  afterAll(() => inExample("docker compose down --volumes --timeout 5"));

  it("serves a service by its label, and as many as there are, behind a socket that can only be read", async () => {
    const [, up = "", look = "", scale = ""] = readmeBlocks("compose");
    await inExample(up);
    const answering = (count: number) => answeredBy(count, "http://web.localhost:8080/");
    await answering(1);
    expect(await inExample(look)).toMatch(/^[0-9a-f]{12}\n.*\nweb +[\d.]+:80 +ready/s);
    await inExample(scale);
    await answering(3);
    await inExample("docker compose kill web");
    await stage.serves("web.localhost", 404, 8080);
  }, 180_000);
});

describe("socket-proxy", () => {
  it("registers by a socket that refuses everything else", async () => {
    const [, up = "", post = ""] = readmeBlocks("socket-proxy");
    const own = { PORTOLAN_BACKEND: `${backend}-read-only` };
    expect(up).toContain("consul://127.0.0.1:8500");
    const inExample = (commands: string) => stage.shell("socket-proxy", commands, own);
    await inExample(up.replace("consul://127.0.0.1:8500", own.PORTOLAN_BACKEND));
    const services = "docker compose exec -T registrator /usr/local/bin/node /portolan/dist/cli.js services";
    await waitFor("the record", async () => (await inExample(services)).includes("shop"), { within: 60_000 });
    expect(await inExample(post)).toBe("403\n");
    await inExample("docker compose down --volumes --timeout 10");
  }, 180_000);
});

describe("three hosts", () => {
  const example = "three-hosts";
  const images = ["portolan", "lb-haproxy", "haproxy:3.2-alpine", "nginx:alpine", "etcd"];
  let hosts: readonly Stage[] = [];
  afterAll(async () => {
    await Promise.all(hosts.slice(1).map((host) => host.stop()));
    await stage.shell(example, "docker compose --env-file host1.env down --volumes --timeout 1");
  });

  it("serve each other's containers, also while one of them has no etcd", async () => {
    const { etcd } = await ensureInstalled(["etcd"]);
    await importMachineImage(stage, "etcd", etcd.etcd);
    hosts = [stage, ...(await startBeside(stage, 2, images))];
    const [, up = "", run = "", look = ""] = readmeBlocks(example);
    const addresses = hosts.map(
      ({ address }, i) =>
        `-e 's/10[.]0[.]0[.]${i + 1}:/${address}:/g' -e 's/10[.]0[.]0[.]${i + 1}$/${address}/'`,
    );
    await stage.shell(example, `sed -i ${addresses.join(" ")} host?.env`);
    const on = (i: number, commands: string) =>
      (hosts[i] as Stage).shell(example, commands.replaceAll("host1.env", `host${i + 1}.env`));
    await Promise.all(hosts.map((_, i) => on(i, up)));

    const second = (await on(1, run)).slice(0, 12);
    await hosts[0]?.serves("web.localhost", second).catch(async (error: Error) => {
      const logs = await on(0, "docker compose --env-file host1.env logs --no-color --tail 20 2>&1");
      throw new Error(`${error.message}\n${logs}`, { cause: error });
    });
    expect(await on(0, look)).toMatch(new RegExp(`^${second}\n.*host2:web:80`, "s"));
    await hosts[2]?.serves("web.localhost", second);

    await on(0, "docker compose --env-file host1.env stop --timeout 5 etcd");
    await on(1, "docker rm --force web");
    const third = (await on(2, run)).slice(0, 12);
    await Promise.all(hosts.map((host) => host.serves("web.localhost", third)));
  }, 240_000);
});

describe("swarm", () => {
  const inExample = (commands: string) =>
    stage.shell("swarm", commands, { PORTOLAN_BACKEND: `${backend}-swarm` });
  afterAll(() => inExample("docker swarm leave --force"));

  it("registers what runs on a node, and serves it on a node with the label", async () => {
    const [, init = "", deploy = ""] = readmeBlocks("swarm");
    await inExample(init.replace("docker swarm init", "docker swarm init --advertise-addr 127.0.0.1"));
    expect(deploy).toContain("/var/run/docker.sock");
    await inExample(
      deploy.replace("/var/run/docker.sock", stage.socket).replace(/^export PORTOLAN_BACKEND.*\n/m, ""),
    );
    await answeredBy(2, "http://web.localhost/");
    await inExample("docker stack rm portolan");
  });
});

describe("the image's health", () => {
  it("is found, and the end is asked for politely", async () => {
    const state = (what: string) =>
      stage.docker(["inspect", "--format", `{{.State.${what}}}`, "registrator"]);
    await waitFor("health", async () => (await state("Health.Status")) === "healthy", { within: 60_000 });
    await stage.docker(["stop", "--time", "10", "registrator"]);
    expect(await state("ExitCode")).toBe("0");
  });
});
