import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startProcess } from "../cli/process.ts";
import { type DockerHost, startDockerHost } from "../servers/docker.ts";
import { importWebImage, runWeb, type WebContainer, type WebOptions } from "../servers/image.ts";
import { waitFor } from "../servers/wait.ts";
import { type RunningHere, runHere, startHere } from "./run-here.ts";

const within = { within: 30_000 };

let host: DockerHost;
beforeAll(async () => {
  host = await startDockerHost({ liveRestore: true });
  await importWebImage(host);
});
afterAll(() => host?.stop());

let dir: string;
let agent: RunningHere | undefined;
let made: WebContainer[];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "portolan-containers-"));
  agent = undefined;
  made = [];
});
afterEach(async () => {
  agent?.stop();
  await agent?.ended;
  await Promise.all(made.map((one) => one.remove()));
  rmSync(dir, { recursive: true, force: true });
});

const run = async (options: WebOptions) => {
  const one = await runWeb(host, options);
  made.push(one);
  return one;
};
const args = (...more: string[]) => [
  ...["agent", "--docker", host.dockerHost, "--ip", "10.98.0.1", "--node", "host1", "--state-dir", "state"],
  ...["--listen", "off", "--log-format", "json", ...more],
];
const template = (text: string) => writeFileSync(join(dir, "all.hbs"), text);
const start = (...more: string[]) => {
  agent = startHere(args("-t", "all.hbs:all", ...more), dir);
};
/** When the file was put there. An inode tells nothing: the one of the file before is taken again. */
const writtenAt = () => statSync(join(dir, "all"), { bigint: true }).ctimeNs;
const live = () => (existsSync(join(dir, "all")) ? readFileSync(join(dir, "all"), "utf8") : undefined);
const comes = (text: string | RegExp) =>
  waitFor(
    `a file like ${text}`,
    () => (typeof text === "string" ? live() === text : text.test(live() ?? "")),
    within,
  );

describe("containers of a real Docker", () => {
  it("tells all that docker-gen does, and more", async () => {
    await host.docker(["network", "create", "--internal", "inner"]);
    try {
      template("{{{json (containers)}}}");
      await run({
        name: "web",
        publish: ["80", "127.0.0.1:8443:443/udp"],
        labels: { "com.example.zone": "a" },
        env: { COLOR: "blue=1" },
        args: ["--volume", "/tmp:/data:ro"],
      });
      await run({ name: "inner-1", network: "inner", args: ["--network-alias", "w"] });
      start();
      const found = await waitFor("the containers", () => JSON.parse(live() ?? "null"), within);
      expect(found).toMatchObject([
        {
          name: "inner-1",
          ip: found[0].networks[0].ip,
          networkMode: "inner",
          addresses: [],
          networks: [
            { name: "inner", internal: true, ipPrefixLen: 16, aliases: expect.arrayContaining(["w"]) },
          ],
        },
        {
          id: made[0]?.id,
          name: "web",
          hostname: "web",
          image: { name: "portolan-test/web:1", registry: "", repository: "portolan-test/web", tag: "1" },
          env: { COLOR: "blue=1", PATH: "/bin" },
          labels: { "com.example.zone": "a" },
          ip: await made[0]?.address(),
          gateway: expect.stringMatching(/^\d+\./),
          addresses: [
            { port: "80", proto: "tcp", hostPort: String(await made[0]?.hostPort(80)), hostIp: "0.0.0.0" },
            { port: "443", proto: "udp", hostPort: "8443", hostIp: "127.0.0.1", bindings: [{}] },
          ],
          networks: [{ name: "bridge", internal: false, macAddress: expect.stringMatching(/^02:42:/) }],
          volumes: { "/data": { path: "/data", hostPath: "/tmp", readWrite: false } },
          mounts: [{ type: "bind", source: "/tmp", destination: "/data", rw: false }],
          state: { status: "running", running: true, health: { status: "" } },
        },
      ]);
    } finally {
      await Promise.all(made.splice(0).map((one) => one.remove()));
      await host.docker(["network", "rm", "inner"]);
    }
  });

  it("renders again at a start, a rename, a pause, a network, health and an end, and for nothing else", async () => {
    template(
      '{{#each (containers label="front" state="any")}}{{name}} {{state.status}}{{state.health.status}}{{#each networks}} {{name}}{{/each}}\n{{/each}}',
    );
    await host.docker(["network", "create", "side"]);
    try {
      start();
      await comes("");
      const web = await run({
        name: "aa",
        labels: { front: "" },
        args: ["--health-cmd", "test -e /tmp/fine", "--health-interval", "200ms", "--health-retries", "1"],
      });
      await comes(/^aa running(starting|unhealthy) bridge\n$/);
      await host.docker(["exec", web.id, "touch", "/tmp/fine"]);
      await comes("aa runninghealthy bridge\n");
      await host.docker(["rename", "aa", "bb"]);
      await comes("bb runninghealthy bridge\n");
      await host.docker(["network", "connect", "side", "bb"]);
      await comes("bb runninghealthy bridge side\n");
      const before = writtenAt();
      await run({ name: "other" });
      await host.docker(["pause", "bb"]);
      await comes(/^bb paused\w* bridge side\n$/);
      await host.docker(["unpause", "bb"]);
      await comes("bb runninghealthy bridge side\n");
      expect(writtenAt()).not.toBe(before);
      await web.stop();
      await comes(/^bb exited\w* bridge side\n$/);
      await web.remove();
      await comes("");
      const journal = await runHere(["journal", "--state-dir", "state", "--json"], dir);
      expect(journal.stdout).toContain('"container bb"');
      expect(journal.stdout).not.toContain("container other");
    } finally {
      await Promise.all(made.splice(0).map((one) => one.remove()));
      await host.docker(["network", "rm", "side"]);
    }
  });

  it("an outage of Docker keeps the file, and what came meanwhile comes after it", async () => {
    template("{{#each (containers)}}{{name}} {{/each}}");
    await run({ name: "aa" });
    start("--resync", "1s");
    await comes("aa ");
    const before = writtenAt();
    await host.restart({ signal: "SIGKILL" });
    await run({ name: "bb" });
    await comes("aa bb ");
    expect(writtenAt()).not.toBe(before);
    const causes = async () => {
      const { stdout } = await runHere(["journal", "--state-dir", "state", "--json"], dir);
      return (JSON.parse(stdout) as { cause: string[] }[]).map(({ cause }) => cause.join());
    };
    await waitFor("the journal", async () => (await causes()).join("; ") === "start; container bb", within);
  });

  it("a hostile value takes out its container; no secret is logged, nor kept in the state folder", async () => {
    writeFileSync(join(dir, "x.nginx.hbs"), "{{#each (containers)}}server {{name}} {{env.HOST}};\n{{/each}}");
    await run({ name: "aa", env: { HOST: "a.example.com", TOKEN: "topsecret" } });
    await run({ name: "bad", env: { HOST: "evil.example; } hidden{", TOKEN: "topsecret" } });
    const { child, stderr, ended } = startProcess(args("-t", "x.nginx.hbs:all", "--log-level", "debug"), dir);
    await comes("server aa a.example.com;\n");
    child.kill("SIGTERM");
    await ended;
    expect(stderr()).toMatch(
      /container left out: .*x\.nginx\.hbs:1:39: \{\{env\.HOST\}\} is .*which holds the character ;/,
    );
    expect(stderr()).not.toMatch(/hidden|topsecret/);
    for (const name of readdirSync(join(dir, "state"), { recursive: true, encoding: "utf8" })) {
      const path = join(dir, "state", name);
      if (statSync(path).isFile()) expect(readFileSync(path, "utf8")).not.toMatch(/hidden|topsecret/);
    }
  });

  it("--dry-run over a backend reads them as well, and --once ends with the file", async () => {
    template("{{#each (containers)}}{{name}}\n{{/each}}");
    await run({ name: "aa" });
    const dry = await runHere(args("-t", "all.hbs:all", "--dry-run", "--once", `file://${dir}/r`), dir);
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\+aa$/m) });
    expect(live()).toBeUndefined();
    expect(await runHere(args("-t", "all.hbs:all", "--once"), dir)).toMatchObject({ code: 0 });
    expect(live()).toBe("aa\n");
  });
});

describe("without the agent", () => {
  const wayOut =
    /all\.hbs:1:9: containers reads the Docker of this host, which only `portolan agent` watches/;
  const backend = () => `file://${dir}/registry`;
  beforeEach(() => template("{{#each (containers)}}{{name}}{{/each}}"));

  it("`render` says the way out", async () => {
    const { code, stderr } = await runHere(["render", "-t", "all.hbs:all", backend()], dir);
    expect([code, stderr]).toEqual([1, expect.stringMatching(wayOut)]);
  });

  it("`templater` does, and leaves the file as it is", async () => {
    writeFileSync(join(dir, "all"), "old");
    const { child, stderr, ended } = startProcess(
      ["templater", "-t", "all.hbs:all", "--listen", "off", "--state-dir", "state", backend()],
      dir,
    );
    await waitFor("the error", () => wayOut.test(stderr()), within);
    child.kill("SIGTERM");
    await ended;
    expect(live()).toBe("old");
  });

  it("`check` remarks it, since the configuration may be the agent's", async () => {
    const { code, stderr } = await runHere(["check", "-t", "all.hbs:all"], dir);
    expect([code, stderr]).toEqual([0, expect.stringMatching(wayOut)]);
  });
});
