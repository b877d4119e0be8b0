import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { importWebImage, removeWebContainers, runWeb, type WebOptions } from "../servers/image.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { type Ended, type Program, portolan, startProgram } from "./program.ts";
import { inSync, registratorArgs, soon } from "./registrator-world.ts";
import { type ReadRegistry, startRegistry, storeNames } from "./registries.ts";

const node = "life";
let host: DockerHost;
let registries: readonly ReadRegistry[];
let program: Program | undefined;
beforeAll(async () => {
  host = await startDockerHost();
  await importWebImage(host);
  registries = await Promise.all(storeNames.map(startRegistry));
});
afterAll(async () => {
  await Promise.all(registries.map((registry) => registry.stop()));
  await host?.stop();
});
afterEach(async () => {
  await removeWebContainers(host);
  if (program?.isRunning()) await hold();
  await program?.stop();
  program = undefined;
  if ((await states()).flat().length === 0) return;
  // What nobody has removed is in nobody's way: this takes it over and removes it.
  const last = await start("--on-exit", "deregister");
  await last.stop();
  await hold();
});

const urls = () => registries.map(({ url }) => url);
const start = async (...args: string[]): Promise<Program> => {
  program = await startProgram("registrator", registratorArgs(host, node, urls(), { args }));
  await inSync({ registrator: program });
  return program;
};
const web = (name: string, options: WebOptions = {}) => runWeb(host, { name, publish: ["80"], ...options });
/** `<container> <state>` of each record in each store. */
const states = () =>
  Promise.all(
    registries.map(async (registry) =>
      (await registry.lines()).map((line) =>
        line
          .split(" ")
          .filter((_word, at) => at % 2 === 1)
          .join(" "),
      ),
    ),
  );
/** Waits until every store holds exactly this. */
const hold = (...expected: string[]) =>
  waitFor(
    `all stores to hold ${expected.join(", ")}`,
    async () => {
      const seen = await states();
      if (seen.every((lines) => JSON.stringify(lines) === JSON.stringify(expected))) return true;
      throw new Error(JSON.stringify(seen));
    },
    soon,
  );
const signal = (running: Program) => process.kill(running.pid(), "SIGTERM");
/** The test's own `stop` would not be as patient. */
const ended = (running: Program) =>
  waitFor(
    "the end",
    () =>
      fetch(`${running.url}/healthz`).then(
        () => false,
        () => true,
      ),
    { within: 60_000 },
  );
const dumps = async () => Promise.all(registries.map((registry) => registry.dump()));

describe("what the end of a container leaves", () => {
  it("by --deregister and SERVICE_DEREGISTER, over a restart of the registrator, until its removal", async () => {
    const registrator = await start("--deregister", "on-success");
    const fails = await web("fails", { command: ["sh", "-c", "sleep 2; exit 3"] });
    const ends = await web("ends", { command: ["sh", "-c", "sleep 2; exit 0"] });
    const always = await web("always", { labels: { SERVICE_DEREGISTER: "always" } });
    const never = await web("never", { env: { SERVICE_DEREGISTER: "never" } });
    await hold("always ready", "ends ready", "fails ready", "never ready").catch(() => {});
    await Promise.all([always.kill(), never.stop(1)]);
    await hold("fails unhealthy", "never unhealthy");
    await registrator.restart("stop");
    await inSync({ registrator });
    await hold("fails unhealthy", "never unhealthy");
    await never.start();
    await hold("fails unhealthy", "never ready");
    await Promise.all([fails.remove(), ends.remove(), never.remove()]);
    await hold();
  });

  it("in a crash loop: nothing, one remark, and nothing that fails /readyz", async () => {
    const registrator = await start();
    await web("loops", { command: ["sh", "-c", "sleep 0.3; exit 1"], args: ["--restart", "always"] });
    const remarks = async () => {
      const { remarks } = (await registrator.status()) as { remarks: { reason: string }[] };
      return remarks.filter(({ reason }) => reason.includes("ended 3 times within 60 s"));
    };
    await waitFor("the remark", async () => (await remarks()).length === 1, { within: 20_000 });
    await hold();
    const before = await dumps();
    // Docker starts it again after 0.8 s, 1.6 s, 3.2 s.
    await sleep(6000);
    expect((await states()).flat()).toEqual([]);
    expect(await remarks()).toHaveLength(1);
    expect(await registrator.notReady()).toBe("");
    expect((await dumps()).map((text) => text.includes("loops"))).toEqual(before.map(() => false));
  });

  it("is back at once after docker restart, however often", async () => {
    await start();
    const one = await web("one");
    await hold("one ready");
    for (let round = 0; round < 4; round += 1) {
      await host.docker(["restart", "--time", "1", one.id]);
      await hold("one ready");
    }
  });
});

describe("the end of the registrator", () => {
  it("--on-exit deregister removes everything", async () => {
    const registrator = await start("--on-exit", "deregister");
    await web("one");
    await hold("one ready");
    await registrator.stop();
    expect((await states()).flat()).toEqual([]);
  });

  it("R7: --on-exit drain shows everything as draining for the longest DRAIN, then removes it", async () => {
    const registrator = await start("--on-exit", "drain");
    await web("one", { labels: { SERVICE_DRAIN: "7s" } });
    await web("two", { labels: { SERVICE_DRAIN: "1s" } });
    await hold("one ready", "two ready");
    const began = performance.now();
    signal(registrator);
    await hold("one draining", "two draining");
    await ended(registrator);
    expect(performance.now() - began).toBeGreaterThan(6900);
    expect((await states()).flat()).toEqual([]);
  });

  it("--on-exit drain ends at once at a second signal", async () => {
    const registrator = await start("--on-exit", "drain");
    await web("one", { labels: { SERVICE_DRAIN: "10m" } });
    await hold("one ready");
    signal(registrator);
    await hold("one draining");
    signal(registrator);
    await ended(registrator);
    expect((await states()).flat()).toEqual([]);
  });
});

describe("for scripts", () => {
  /** It takes its time, beside the others. */
  let nowhere: Promise<Ended>;
  beforeAll(() => {
    nowhere = portolan([
      ...["registrator", "--dry-run"],
      ...registratorArgs(host, node, ["etcd://127.0.0.1:1"]),
    ]);
  });

  it("--dry-run shows what would change and writes nothing", async () => {
    const args = (...more: string[]) => [
      "registrator",
      "--dry-run",
      ...registratorArgs(host, node, urls()),
      ...more,
    ];
    const one = await web("one");
    const before = await dumps();
    const first = await portolan(args());
    expect(first.code, first.stderr).toBe(0);
    const port = await one.hostPort(80);
    expect(
      first.stdout.match(new RegExp(`^\\+ life:one:80 web ${host.address}:${port} ready$`, "gm")),
    ).toHaveLength(4);
    expect(await dumps()).toEqual(before);

    await start();
    await hold("one ready");
    const same = await portolan(args());
    expect([same.code, same.stdout.match(/^ {2}nothing would change$/gm)?.length]).toEqual([0, 4]);
    const other = await portolan(args("--tags", "x"));
    expect(other.stdout.match(/^~ life:one:80 web tags: \[\] -> \["x"\]$/gm)).toHaveLength(4);
    const none = await portolan(args("--select", "nothing"));
    expect(none.stdout.match(/^- life:one:80 web .* ready$/gm)).toHaveLength(4);
    await hold("one ready");
  });

  it("--dry-run knows its own records where they do not say whose they are, and makes no folder", async () => {
    const authority = (name: string) =>
      /\/\/([^/]+)/.exec(registries.find((each) => each.name === name)?.url ?? "")?.[1];
    const foreign = [
      `consulkv://${authority("consul")}/upstream`,
      `etcd://${authority("etcd")}/upstream?layout=registrator`,
      `zookeeper://${authority("zookeeper")}/upstream?layout=registrator`,
      `zookeeper://${authority("zookeeper")}/curator?layout=curator`,
    ];
    const run = (how: string, ...more: string[]) =>
      portolan(["registrator", how, ...registratorArgs(host, node, foreign), ...more]);
    const [one, two] = [await web("one"), await web("two")];
    expect((await run("--dry-run")).stdout.match(/^\+ life:(one|two):80 /gm)).toHaveLength(8);
    expect((await run("--once")).code).toBe(0);
    const same = await run("--dry-run");
    expect([same.code, same.stdout.match(/^ {2}nothing would change$/gm)?.length], same.stdout).toEqual([
      0, 4,
    ]);
    await host.docker(["pause", one.id]);
    await two.remove();
    const { stdout } = await run("--dry-run");
    expect(stdout.match(/^- life:two:80 web /gm), stdout).toHaveLength(4);
    expect(stdout.match(/^~ life:one:80 web state: "ready" -> "paused"$/gm), stdout).toHaveLength(4);
    expect(stdout).not.toMatch(/^\+/m);
    expect((await run("--once", "--on-exit", "deregister")).code).toBe(0);

    const folder = join(tempDir("dry"), "registry");
    const none = await portolan([
      "registrator",
      "--dry-run",
      ...registratorArgs(host, node, [`file://${folder}`]),
    ]);
    expect(none.stdout).toMatch(/^\+ life:one:80 web /m);
    expect(existsSync(folder)).toBe(false);
    await host.docker(["unpause", one.id]);
  });

  it("--dry-run fails where a backend does not answer, and says which", async () => {
    const { code, stderr } = await nowhere;
    expect([code, stderr]).toEqual([1, expect.stringContaining("etcd://127.0.0.1:1")]);
  });

  it("--once registers, ends with 0, and leaves the records to their lease", async () => {
    await web("one");
    const { code, stderr } = await portolan([
      "registrator",
      "--once",
      ...registratorArgs(host, node, urls()),
    ]);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/what is registered stays for up to \d+ s/)]);
    await hold("one ready");
  });
});
