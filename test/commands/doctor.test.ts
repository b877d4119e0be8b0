import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, inject, it, onTestFinished } from "vitest";
import { stringify } from "yaml";
import type { Backend } from "../../src/backends/backend.ts";
import type { Finding } from "../../src/doctor/finding.ts";
import { lookAtTurns } from "../../src/doctor/turns.ts";
import { startScriptedDocker } from "../registrator/scripted-docker.ts";
import { readOnly, startDockerProxy } from "../servers/docker-proxy.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { runHere } from "./run-here.ts";

const { dockerHost } = inject("docker");
const etcd = inject("etcd");
const zookeeper = inject("zookeeper");
const consul = inject("consul");

const soon = { within: 20_000 };

/** What `doctor --json` finds with these templates, by what it is about. */
async function findings(
  dir: string,
  templates: readonly object[],
  ...words: string[]
): Promise<{
  readonly code: number;
  readonly all: readonly Finding[];
  of(about: string): readonly Finding[];
}> {
  const config = join(dir, "portolan.yaml");
  writeFileSync(config, stringify({ templater: { templates } }));
  const env = { PATH: process.env.PATH };
  const { code, stdout, stderr } = await runHere(["doctor", "--json", "-c", config, ...words], dir, env);
  expect(stderr).toBe("");
  const all = JSON.parse(stdout) as readonly Finding[];
  return { code, all, of: (about) => all.filter((one) => one.about.includes(about)) };
}

describe("portolan doctor", () => {
  let dir: string;
  beforeAll(() => {
    dir = tempDir("doctor");
    writeFileSync(join(dir, "a.hbs"), "{{env 'A'}}\n");
  });
  const source = "a.hbs";

  it("finds all in order, and leaves nothing behind", async () => {
    const [socket, master, live] = [join(dir, "a.sock"), join(dir, "m.sock"), join(dir, "haproxy.cfg")];
    const port = await freePort();
    writeFileSync(
      live,
      `global\n  stats socket ${socket} level admin\ndefaults\n  mode http\n  timeout client 5s\n  timeout connect 5s\n  timeout server 5s\nfrontend f\n  bind 127.0.0.1:${port}\n`,
    );
    const haproxy = await startHaproxy({ config: live, masterSocket: master });
    onTestFinished(haproxy.stop);
    const registry = join(dir, "registry");
    const entry = {
      source,
      destination: live,
      check: ["haproxy", "-c", "-f", "{{src}}"],
      reload: { haproxy: { socket, master } },
      reloadTurns: { name: "edge" },
    };
    const stores = [
      `etcd://${etcd.host}:${etcd.port}/doctor`,
      `zookeeper://${zookeeper.address}/doctor`,
      `consul://${consul.host}:${consul.port}`,
      `file://${registry}`,
    ];
    const args = ["--docker", dockerHost, "--ip", "10.1.2.3", ...stores];
    const found = await waitFor(
      "the master's socket",
      async () => {
        const look = await findings(dir, [entry], ...args);
        return look.of("haproxy.cfg").every(({ level }) => level === "ok") && look;
      },
      soon,
    );
    expect(found.code).toBe(0);
    expect(found.of("docker")).toMatchObject([{ level: "ok", found: expect.stringMatching(/API 1\.\d+, /) }]);
    expect(found.of("address")).toMatchObject([
      { level: "warning", found: expect.stringContaining("10.1.2.3") },
    ]);
    for (const store of stores) {
      expect(found.of(`backend ${store}`)).toMatchObject([
        {
          level: "ok",
          found: expect.stringMatching(/^answers after \d+ ms: \d+ services?, \d+ instances?$/),
        },
        { level: "ok", found: expect.stringMatching(/^can be written: .* outlives \d+ s/) },
        { level: "ok", found: expect.stringMatching(/^reloads can take turns as edge: a lock takes \d+ ms/) },
      ]);
    }
    expect(found.of(live).map((one) => one.found)).toEqual([
      `template ${join(dir, source)} can be read`,
      "can be replaced in one step",
      "passes its check as it is now",
      expect.stringMatching(/^HAProxy \d\.\d answers at .*a\.sock with the level admin, and its master at /),
    ]);
    expect(readdirSync(dir).filter((name) => name.startsWith("."))).toEqual([]);
    expect(readdirSync(join(registry, "nodes"))).toEqual([]);
  });

  it("finds what is wrong, says what it means and the way out, and ends with 1", async () => {
    const bad = tempDir("doctor-bad");
    const live = (name: string) => join(bad, name);
    for (const name of ["b", "c", "d"]) writeFileSync(live(name), "x\n");
    writeFileSync(live("ok.hbs"), "x\n");
    writeFileSync(live("bad.hbs"), "{{#if}}");
    writeFileSync(live("stale.pid"), "4194304\n");
    mkdirSync(live("folder"));
    const entry = (name: string, more: object = {}) => ({ source: "ok.hbs", destination: name, ...more });
    const { code, of } = await findings(
      bad,
      [
        { source: "bad.hbs", destination: "no/such/a" },
        entry("b", { check: ["grep", "-q", "y", "{{src}}"], reload: { nginx: { pidfile: "stale.pid" } } }),
        entry("c", { check: ["no-such-check"], reload: { command: ["no-such-reload"] } }),
        entry("folder", { reload: { haproxy: { socket: "no.sock" } } }),
        entry("d", { reload: { http: { url: `http://127.0.0.1:${await freePort()}/` } } }),
        entry("lb", { reload: { container: { name: "no-such", signal: "HUP", docker: dockerHost } } }),
        { ...entry("each-{{name}}.conf"), forEach: "services" },
      ],
      ...[
        "--docker",
        "unix:///no/docker.sock",
        "--on-promote",
        "no-such-hook",
        `etcd://127.0.0.1:${await freePort()}`,
      ],
    );
    expect(code).toBe(1);
    const seen = (about: string) => of(about).map((one) => [one.level, one.found, one.wayOut]);
    const text = (part: string) => expect.stringContaining(part);
    expect(seen("docker")).toEqual([["wrong", text("/no/docker.sock"), text("start Docker")]]);
    expect(of("address")).toEqual([]);
    expect(seen("backend")).toEqual([["wrong", expect.any(String), expect.any(String)]]);
    expect(seen("on-promote")).toEqual([["wrong", "no-such-hook: no such program", text("install it")]]);
    expect(seen("no/such/a")).toEqual([
      ["wrong", text("bad.hbs:1:"), expect.anything()],
      ["wrong", text("no/such does not exist"), text("create it")],
      ["ok", text("nothing checks it"), undefined],
      ["ok", text("nobody is told"), undefined],
    ]);
    expect(seen(live("b")).slice(2)).toEqual([
      ["warning", text("its check fails on the file as it is now: `grep"), text("by hand")],
      ["warning", text("stale.pid names process 4194304"), expect.any(String)],
    ]);
    expect(seen(live("c")).slice(2)).toEqual([
      ["wrong", text("no-such-check: no such program"), text("install it")],
      ["wrong", "no-such-reload: no such program", text("install it")],
    ]);
    expect(seen(live("folder")).slice(1)).toEqual([
      ["wrong", text("is a folder"), text("set destination")],
      ["warning", text("no.sock"), text("start the proxy")],
    ]);
    expect(seen(live("d")).slice(3)).toEqual([["warning", text("ECONNREFUSED"), text("start the proxy")]]);
    expect(seen(live("lb")).slice(3)).toEqual([
      ["warning", text("no-such: Docker answered 404"), text("start it")],
    ]);
    expect(seen("each-{{name}}.conf").map(([level]) => level)).toEqual(["ok", "ok", "ok", "ok"]);
    for (const one of of("")) if (one.level !== "ok") expect(one.means).toEqual(expect.any(String));
  });

  it("finds a file that is a mount of its own, and a HAProxy whose socket may do too little", async () => {
    const own = tempDir("doctor-mount");
    writeFileSync(join(own, "a.hbs"), "x");
    const [socket, mounted, live] = [join(own, "a.sock"), join(own, "a file"), join(own, "haproxy.cfg")];
    writeFileSync(mounted, "x");
    execFileSync("mount", ["--bind", mounted, mounted]);
    onTestFinished(() => void execFileSync("umount", [mounted]));
    writeFileSync(live, `global\n  stats socket ${socket} level operator\ndefaults\n  mode http\n`);
    const bind = `frontend f\n  timeout client 5s\n  bind 127.0.0.1:${await freePort()}\n`;
    writeFileSync(live, bind, { flag: "a" });
    const haproxy = await startHaproxy({ config: live });
    onTestFinished(haproxy.stop);
    const entry = { source, destination: mounted, reload: { haproxy: { socket } } };
    const { of } = await findings(own, [entry], "--docker", dockerHost);
    expect(of(mounted)).toMatchObject([
      { level: "ok" },
      {
        level: "warning",
        found: expect.stringContaining("a mount of its own"),
        wayOut: expect.stringContaining("folder"),
      },
      { level: "ok" },
      {
        level: "warning",
        found: expect.stringContaining("the level operator"),
        wayOut: expect.stringContaining("level admin"),
      },
    ]);
  });

  it("finds a backend without the locks that turns to reload need", async () => {
    const { signal: stop } = new AbortController();
    const bare = { title: "bare://" } as unknown as Backend;
    expect(await lookAtTurns(bare, { name: "edge", contender: "one", stop })).toMatchObject({
      level: "wrong",
      found: "it has no locks by which hosts could take turns as edge",
      means: "no templater starts with it",
    });
  });

  it("finds that Docker's clock is another one", async () => {
    const docker = await startScriptedDocker();
    onTestFinished(docker.stop);
    docker.script.clockOff = 3600;
    const { of } = await findings(dir, [], "--docker", docker.url);
    expect(of("docker")).toMatchObject([
      { level: "ok" },
      {
        level: "warning",
        found: expect.stringMatching(/^Docker's clock is 3\d{3} s ahead of the one here$/),
      },
    ]);
  });

  it("finds a token of the status pages that guards little, and one that cannot be read", async () => {
    const own = tempDir("doctor-token");
    const file = join(own, "token");
    const words = ["--docker", dockerHost, "--ip", "10.1.2.3", "--listen-token-file", file];
    const seen = async () => {
      const { code, of } = await findings(own, [], ...words);
      return [code, ...of("status pages").map(({ level, found }) => `${level}: ${found}`)];
    };
    expect(await seen()).toEqual([1, expect.stringMatching(/^wrong: .*token does not exist$/)]);
    writeFileSync(file, "short", { mode: 0o644 });
    expect(await seen()).toEqual([
      0,
      `warning: everybody may read ${file}`,
      expect.stringContaining("no more than 5 characters"),
    ]);
    writeFileSync(file, "long-enough-not-to-be-guessed");
    chmodSync(file, 0o600);
    expect(await seen()).toEqual([0, `ok: ask for the token in ${file}`]);
  });

  it("tells people the same, and how much of it is not in order, and asks Docker no more than once", async () => {
    const own = tempDir("doctor");
    const docker = await startDockerProxy({
      upstream: inject("docker").socket,
      listen: join(own, "docker.sock"),
      allow: readOnly,
    });
    onTestFinished(docker.stop);
    const words = ["doctor", "--docker", docker.url, "--ip", "127.0.0.1"];
    const { code, stdout } = await runHere(words, own, { PATH: process.env.PATH });
    expect(code).toBe(0);
    expect(docker.calls().filter(({ path }) => path === "/info")).toHaveLength(1);
    expect(stdout).toMatch(/^docker\n {2}ok {7}Docker \S+ answers at unix:/);
    expect(stdout).toContain(
      "address\n  warning  published ports are registered with 127.0.0.1, a loopback address\n",
    );
    expect(stdout).toContain(
      "           it means: only load balancers on this host reach them\n           way out:  ",
    );
    expect(stdout).toContain("backend\n  ok       none is given: an agent needs none");
    expect(stdout).toMatch(/\n\n0 wrong, 1 to be looked at\n$/);
  });
});
