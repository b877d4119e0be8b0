// The test servers are tools that every other test trusts, so they are tested first.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { startConsul } from "./consul.ts";
import { type DockerHost, dockerCli, startDockerHost } from "./docker.ts";
import { startEtcd } from "./etcd.ts";
import { haproxyVersion, startHaproxy } from "./haproxy.ts";
import { get } from "./http.ts";
import { importWebImage, removeWebContainers, runWeb } from "./image.ts";
import { nginxVersion, startNginx } from "./nginx.ts";
import { freePort, freePorts } from "./ports.ts";
import { listProcesses } from "./proc.ts";
import { startProcess } from "./process.ts";
import { tempDir } from "./run.ts";
import type { TestServer } from "./server.ts";
import { waitFor } from "./wait.ts";
import { fourLetterWord, startZooKeeper } from "./zookeeper.ts";

describe("stores", () => {
  const stores = [
    { name: "etcd", start: startEtcd, ask: (port: number) => get(`http://127.0.0.1:${port}/version`) },
    {
      name: "consul",
      start: startConsul,
      ask: (port: number) => get(`http://127.0.0.1:${port}/v1/status/leader`),
    },
    { name: "zookeeper", start: startZooKeeper, ask: (port: number) => fourLetterWord(port, "srvr") },
  ];

  test.each(stores)(
    "$name answers, comes back at its port, stands still and ends",
    async ({ start, ask }) => {
      const server: TestServer & { readonly port: number } = await start();
      expect(await ask(server.port)).not.toBe("");
      for (const how of ["stop", "kill"] as const) {
        const before = server.pid();
        await server.restart(how);
        expect(server.pid()).not.toBe(before);
        expect(await ask(server.port)).not.toBe("");
      }
      server.pause();
      expect(await Promise.race([ask(server.port), sleep(100, "silent")])).toBe("silent");
      server.resume();
      expect(await ask(server.port)).not.toBe("");
      await server.stop();
      await expect(ask(server.port)).rejects.toThrow("ECONNREFUSED");
    },
  );

  test("the stores of the whole run are there", async () => {
    expect(await get(`${inject("etcd").url}/health`)).toContain("true");
    expect(await get(`${inject("consul").url}/v1/catalog/nodes`)).toContain(inject("consul").node);
    expect(await fourLetterWord(inject("zookeeper").port, "ruok")).toBe("imok");
  });

  test("data outlives a restart and a crash, and not a wipe", async () => {
    const consul = await startConsul({ persistent: true });
    const names = async (): Promise<string> => get(`${consul.url}/v1/agent/services`);
    await put(`${consul.url}/v1/agent/service/register`, { Name: "web" });
    await consul.restart("kill");
    expect(await names()).toContain("web");
    await consul.wipeAndRestart();
    expect(await names()).not.toContain("web");
    await consul.stop();
  });
});

describe("docker", () => {
  let one: DockerHost;
  let two: DockerHost;

  beforeAll(async () => {
    [one, two] = await Promise.all([startDockerHost(), startDockerHost({ liveRestore: true })]);
    await Promise.all([importWebImage(one), importWebImage(two)]);
  });
  afterAll(() => Promise.all([one.stop(), two.stop()]));

  test("published ports are reached from the root namespace, another host and another host's container", async () => {
    const caller = await runWeb(one, { name: "caller" });
    const web = await runWeb(two, { name: "web-1", publish: ["80", "9090:9090"], ports: [80, 9090] });
    const urls = [`http://${two.address}:${await web.hostPort(80)}/`, `http://${two.address}:9090/`];
    for (const url of urls) {
      const answers = [
        () => get(url),
        () => one.run(["busybox", "wget", "-qO-", url]),
        () => one.docker(["exec", caller.name, "wget", "-qO-", url]),
      ];
      for (const answer of answers) {
        expect((await waitFor(`an answer of ${url}`, answer, { within: 20_000 })).trim()).toBe("web-1");
      }
    }
    await two.disconnect();
    await expect(get(`http://${two.address}:9090/`, { within: 200 })).rejects.toThrow();
    await two.connect();
    expect(
      (await waitFor("an answer", () => get(`http://${two.address}:9090/`), { within: 20_000 })).trim(),
    ).toBe("web-1");
    await removeWebContainers(one);
    await removeWebContainers(two);
    expect(await two.docker(["ps", "--all", "--quiet"])).toBe("");
  });

  test("a container ends at once on its stop signal, or lingers when it is told to", async () => {
    const quick = await runWeb(one);
    const slow = await runWeb(one, { lingers: 2 });
    const [quickly, slowly] = [await time(() => quick.stop()), await time(() => slow.stop())];
    expect(quickly).toBeLessThan(8_000);
    expect(slowly).toBeGreaterThan(1_900);
    expect(slowly).toBeLessThan(9_000);
  });

  test("containers outlive a crash of the daemon only with live restore", async () => {
    await Promise.all([runWeb(one, { name: "web-2" }), runWeb(two, { name: "web-2" })]);
    await Promise.all([one.restart({ signal: "SIGKILL" }), two.restart({ signal: "SIGKILL" })]);
    expect(await one.docker(["ps", "--quiet", "--filter", "name=web-2"])).toBe("");
    expect(await two.docker(["ps", "--quiet", "--filter", "name=web-2"])).not.toBe("");
  });

  test("the host of the whole run is there, and a stopped one leaves nothing", async () => {
    const shared = inject("docker");
    expect(await dockerCli(shared).docker(["info", "--format", "{{.Images}}"])).toBe("1");
    const host = await startDockerHost();
    await importWebImage(host);
    await runWeb(host);
    await host.kill();
    await host.stop();
    expect(existsSync(host.socket)).toBe(false);
    expect(existsSync(`/var/run/netns/${host.netns}`)).toBe(false);
    const folder = host.socket.replace(/docker\.sock$/, "");
    expect(listProcesses().filter(({ command }) => command.includes(folder))).toEqual([]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(folder);
  });
});

describe("load balancers", () => {
  test("haproxy and nginx serve a given configuration, also after a restart, and leave no worker", async () => {
    const dir = tempDir("balancers");
    const [a, b] = [await freePort(), await freePort()];
    const haproxyConfig = join(dir, "haproxy.cfg");
    const nginxConfig = join(dir, "nginx.conf");
    writeFileSync(
      haproxyConfig,
      `global
  stats socket ${dir}/stats.sock mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend web
  bind 127.0.0.1:${a}
  http-request return status 200 content-type text/plain string haproxy
`,
    );
    writeFileSync(
      nginxConfig,
      `events {} http { access_log off; server { listen 127.0.0.1:${b}; location / { return 200 nginx; } } }`,
    );
    const haproxy = await startHaproxy({ config: haproxyConfig, masterSocket: join(dir, "master.sock") });
    const nginx = await startNginx({ config: nginxConfig });
    const answers = (): Promise<readonly string[]> =>
      Promise.all([get(`http://127.0.0.1:${a}`), get(`http://127.0.0.1:${b}`)]);
    expect(await answers()).toEqual(["haproxy", "nginx"]);
    expect(readFileSync(haproxy.pidFile, "utf8").trim()).toBe(String(haproxy.pid()));
    for (const how of ["stop", "kill"] as const) {
      await Promise.all([haproxy.restart(how), nginx.restart(how)]);
      expect(await answers()).toEqual(["haproxy", "nginx"]);
    }
    const groups = [haproxy.pid(), nginx.pid()];
    await Promise.all([haproxy.kill(), nginx.kill()]);
    expect(listProcesses().filter(({ group, isZombie }) => groups.includes(group) && !isZombie)).toEqual([]);
    expect(await haproxyVersion()).toMatch(/^\d+\.\d+/);
    expect(await nginxVersion()).toMatch(/^\d+\.\d+/);
  });
});

describe("tools", () => {
  test("what does not come up is told with the end of its log", async () => {
    const logFile = join(tempDir("broken"), "broken.log");
    const spec = { name: "broken", command: "sh", logFile, ready: () => false };
    await expect(startProcess({ ...spec, args: ["-c", "echo no such option >&2; exit 3"] })).rejects.toThrow(
      /broken: ended with code 3 before it was ready[\s\S]*no such option/,
    );
    await expect(startProcess({ ...spec, args: ["-c", "exec sleep 30"], readyWithin: 100 })).rejects.toThrow(
      "waited 100 ms for broken to be ready; last seen: false",
    );
  });

  test("waiting names what it waited for and what it saw last", async () => {
    const seen = ["", "", "at last"];
    expect(await waitFor("a word", () => seen.shift(), { within: 2_000, every: 1 })).toBe("at last");
    const failing = waitFor("rain", () => Promise.reject(new Error("blue sky")), { within: 20, every: 5 });
    await expect(failing).rejects.toThrow("waited 20 ms for rain; last seen: blue sky");
    await expect(waitFor("godot", () => new Promise<boolean>(() => {}), { within: 20 })).rejects.toThrow(
      "godot",
    );
  });

  test("ports are different, and below those the kernel hands out", async () => {
    const ports = await freePorts(50);
    expect(new Set(ports).size).toBe(50);
    expect(Math.max(...ports)).toBeLessThan(32_768);
  });
});

async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function put(url: string, body: unknown): Promise<void> {
  const answer = await fetch(url, { method: "PUT", body: JSON.stringify(body) });
  expect(answer.status).toBe(200);
}
