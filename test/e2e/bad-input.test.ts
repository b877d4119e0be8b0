import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { stringify } from "yaml";
import { dockerCli } from "../servers/docker.ts";
import { runWeb } from "../servers/image.ts";
import { startFaultProxy } from "../servers/proxy.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { type Program, portolan, startProgram } from "./program.ts";

/** Ten times the second in which a change is to be seen. */
const soon = { within: 10_000 };

const logged = (program: Program) => readFileSync(program.logFile, "utf8");

describe("what is not there at the start is waited for", () => {
  const docker = () => ["--docker", inject("docker").dockerHost, "--ip", inject("docker").address];

  it.each(["consul", "etcd", "zookeeper"] as const)("an unreachable %s", async (scheme) => {
    const proxy = await startFaultProxy({ upstream: inject(scheme) });
    proxy.refuse();
    const url = `${scheme}://127.0.0.1:${proxy.port}${scheme === "consul" ? "" : `/bad-input-${process.pid}`}`;
    const label = `bad-${scheme}`;
    const args = ["--node", label, "--select", `x=${label}`, ...docker(), url];
    const registrator = await startProgram("registrator", args);
    const dir = tempDir("bad");
    writeFileSync(join(dir, "list.txt.hbs"), "{{#each (services)}}{{name}}\n{{/each}}end\n");
    const destination = join(dir, "list.txt");
    const templater = await startProgram("templater", [
      "-t",
      `${join(dir, "list.txt.hbs")}:${destination}`,
      url,
    ]);
    for (const program of [registrator, templater]) {
      const reasons = await waitFor("a reason", () => program.notReady(), soon);
      await waitFor(
        "a reason that names the backend",
        async () => (await program.notReady()).includes(`${scheme}://127.0.0.1:${proxy.port}`),
        soon,
      );
      expect(reasons).not.toBe("");
      expect((await fetch(`${program.url}/healthz`)).status).toBe(200);
      expect((await fetch(`${program.url}/readyz`)).status).toBe(503);
    }
    expect(() => readFileSync(destination)).toThrow();
    proxy.pass();
    for (const program of [registrator, templater]) {
      await waitFor("sync", async () => (await program.notReady()) === "", { within: 30_000 });
    }
    expect(readFileSync(destination, "utf8")).toMatch(/end\n$/);
    await Promise.all([registrator.stop(), templater.stop(), proxy.stop()]);
  });

  it("an unreachable Docker", async () => {
    const proxy = await startFaultProxy({
      upstream: { path: inject("docker").socket },
      listen: { path: join(tempDir("socket"), "d.sock") },
    });
    proxy.refuse();
    const registrator = await startProgram("registrator", [
      ...[
        "--docker",
        `unix://${proxy.path}`,
        "--ip",
        "10.0.0.1",
        "--node",
        "no-docker",
        "--select",
        "x=nobody",
      ],
      `file://${join(tempDir("registry"), "r")}`,
    ]);
    await waitFor("a reason", async () => (await registrator.notReady()).includes("Docker at unix://"), soon);
    expect((await fetch(`${registrator.url}/healthz`)).status).toBe(200);
    proxy.pass();
    await waitFor("sync", async () => (await registrator.notReady()) === "", { within: 30_000 });
    await registrator.stop();
    await proxy.stop();
  });
});

it.each([
  ["a wrong URL", ["registrator", "etcd//127.0.0.1"], "etcd"],
  ["an unknown scheme", ["services", "--backend", "redis://127.0.0.1"], "known are"],
  ["a port that is none", ["templater", "-t", "a.hbs:b", "consul://127.0.0.1:99999"], "99999"],
  ["credentials in a URL", ["services", "--backend", "etcd://me:secret@127.0.0.1"], "password-file"],
  ["an unknown option", ["registrator", "--intrenal", "file:///tmp/x"], "--internal"],
  ["an unknown command", ["registrater"], "registrator"],
  ["a missing template", ["templater", "-t", "/nowhere/x.hbs:/tmp/x", "file:///tmp/x"], "/nowhere/x.hbs"],
  ["an address that is none", ["registrator", "--once", "--ip", "eth0", "file:///tmp/x"], "interface:eth0"],
])("%s ends with 78 and a way out", async (_what, args, hint) => {
  const { code, stderr } = await portolan([...args], { PORTOLAN_STATE_DIR: tempDir("state") });
  expect(stderr).toContain(hint);
  expect(stderr).not.toContain("secret");
  expect(stderr).not.toMatch(/^\s+at /m);
  expect(code).toBe(78);
});

describe("what fails later keeps the last good file", () => {
  const docker = dockerCli(inject("docker"));
  const dir = tempDir("late");
  const template = join(dir, "list.txt.hbs");
  const destination = join(dir, "out", "list.txt");
  const flag = join(dir, "fails");
  const registry = `file://${join(dir, "registry")}`;
  const good = '{{#each (service "late")}}{{id}}\n{{/each}}one\n';
  let registrator: Program;
  let templater: Program;

  beforeAll(async () => {
    mkdirSync(join(dir, "out"));
    writeFileSync(template, good);
    const script = (name: string) => `if [ -e ${flag}-${name} ]; then echo the ${name} says no; exit 3; fi`;
    writeFileSync(
      join(dir, "portolan.yaml"),
      stringify({
        templater: {
          minInterval: "10ms",
          templates: [
            {
              source: template,
              destination,
              check: { shell: script("check") },
              reload: { shell: script("reload") },
            },
          ],
        },
      }),
    );
    registrator = await startProgram("registrator", [
      ...["--docker", inject("docker").dockerHost, "--ip", inject("docker").address],
      ...["--node", "late", "--select", "x=late", registry],
    ]);
    templater = await startProgram("templater", ["-c", join(dir, "portolan.yaml"), registry]);
    await waitFor("the first file", () => readFileSync(destination, "utf8") === "one\n", soon);
    await waitFor("sync", async () => (await templater.notReady()) === "", soon);
  });
  afterAll(async () => {
    await registrator?.stop();
    await templater?.stop();
  });

  const change = (text: string) => {
    writeFileSync(template, text);
    process.kill(templater.pid(), "SIGHUP");
  };
  const says = (what: string) =>
    waitFor(`/readyz to say ${what}`, async () => (await templater.notReady()).includes(what), soon);
  const heals = async () => {
    change(good);
    await waitFor("sync", async () => (await templater.notReady()) === "", { within: 20_000 });
    expect(readFileSync(destination, "utf8")).toMatch(/one\n$/);
  };

  it("a template that does not compile: file, line and column", async () => {
    change("one\ntwo {{#each (service 'late')}}\n");
    await says(`${template}:`);
    expect(await templater.notReady()).toMatch(/TEMPLATE: .*list\.txt\.hbs:\d+/);
    expect(readFileSync(destination, "utf8")).toBe("one\n");
    await heals();
  });

  it("a template that fails when it is rendered", async () => {
    change("one\n{{env 'NOT_SET_ANYWHERE'}}\n");
    await says("list.txt.hbs:2");
    expect(readFileSync(destination, "utf8")).toBe("one\n");
    await heals();
  });

  it("a check that refuses: its output is shown, the live file untouched", async () => {
    writeFileSync(`${flag}-check`, "");
    change(`two\n${good}`);
    await says("CHECK_FAILED");
    expect(await templater.notReady()).toContain("the check says no");
    expect(logged(templater)).toContain("the check says no");
    expect(readFileSync(destination, "utf8")).toBe("one\n");
    rmSync(`${flag}-check`);
    await waitFor("the new file", () => readFileSync(destination, "utf8") === "two\none\n", {
      within: 20_000,
    });
    await heals();
  });

  it("a reload that fails is reported and tried again", async () => {
    writeFileSync(`${flag}-reload`, "");
    change(`three\n${good}`);
    await says("RELOAD_FAILED");
    expect(logged(templater)).toContain("the reload says no");
    rmSync(`${flag}-reload`);
    await waitFor("sync", async () => (await templater.notReady()) === "", { within: 20_000 });
    expect(readFileSync(destination, "utf8")).toBe("three\none\n");
    await heals();
  });

  it("a label that is not a number is reported with container, key and way out; the instance stays", async () => {
    const web = await runWeb(docker, {
      labels: { x: "late", SERVICE_NAME: "late", SERVICE_80_WEIGHT: "heavy" },
      publish: ["80"],
    });
    await waitFor("the instance", () => readFileSync(destination, "utf8").includes(web.name), soon);
    const line = logged(registrator)
      .split("\n")
      .find((entry) => entry.includes("SERVICE_80_WEIGHT"));
    expect(line).toContain(web.name);
    expect(line).toContain("use a whole number from 0 to 256");
    await web.remove();
    await waitFor("its end", () => !readFileSync(destination, "utf8").includes(web.name), soon);
  });

  it("an address that is taken ends with 1", async () => {
    const taken = new URL(templater.url).port;
    const { code, stderr } = await portolan(["templater", "-t", `${template}:${destination}`, registry], {
      PORTOLAN_LISTEN: `127.0.0.1:${taken}`,
      PORTOLAN_STATE_DIR: tempDir("state"),
    });
    expect(code).toBe(1);
    expect(stderr).toContain(taken);
  });
});
