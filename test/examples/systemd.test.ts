import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { parse, stringify } from "yaml";
import { dockerCli } from "../servers/docker.ts";
import { exec } from "../servers/exec.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { get } from "../servers/http.ts";
import { runWeb, type WebContainer } from "../servers/image.ts";
import { ensureInstalled } from "../servers/install.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { startServer, type TestServer } from "../servers/server.ts";
import { waitFor } from "../servers/wait.ts";

const root = join(import.meta.dirname, "../..");
const example = join(root, "examples/systemd");
const unitText = (name: string) => readFileSync(join(example, `portolan-${name}.service`), "utf8");

let analyze: string;
let dir: string;
beforeAll(async () => {
  analyze = (await ensureInstalled(["systemd"])).systemd.analyze;
  dir = tempDir("units");
  writeFileSync(join(dir, "portolan"), `#!/bin/sh\nexec ${process.execPath} ${root}/dist/cli.js "$@"\n`, {
    mode: 0o755,
  });
});

describe.each([
  ["registrator", 1.5],
  ["templater", 2.1],
])("portolan-%s.service", (name, exposure) => {
  it("is a unit, but for the program's place", async () => {
    const file = join(dir, `portolan-${name}.service`);
    writeFileSync(file, unitText(name).replaceAll("/usr/local/bin/portolan", join(dir, "portolan")));
    expect(await exec("sh", ["-c", '"$0" verify "$1" 2>&1', analyze, file])).toBe("");
  });

  it("is exposed as little as its README says", async () => {
    const unit = join(example, `portolan-${name}.service`);
    const threshold = String(Math.round(exposure * 10));
    // It fails above the threshold.
    await exec(analyze, ["security", "--offline=true", `--threshold=${threshold}`, unit]);
    expect(readFileSync(join(example, "README.md"), "utf8")).toMatch(
      new RegExp(`portolan-${name}\\.service\\) +\\| ${exposure} `),
    );
  });
});

describe("the commands of the units, without a capability", () => {
  const running: TestServer[] = [];
  let web: WebContainer | undefined;
  afterAll(async () => {
    await web?.remove();
    await Promise.all(running.map((server) => server.stop()));
  });

  /** Starts what a unit starts; the places of Debian's HAProxy, the backend and the program are this test's. */
  async function start(name: "registrator" | "templater", config: string, env: Record<string, string>) {
    const [, program, words = ""] = /^ExecStart=(\S+) (.*)$/m.exec(unitText(name)) ?? [];
    expect(program).toBe("/usr/local/bin/portolan");
    const url = `http://127.0.0.1:${await freePort()}`;
    const state = join(dir, name);
    const server = await startServer({
      name: `portolan ${name}`,
      command: "setpriv",
      args: [
        ...["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", join(dir, "portolan")],
        ...words.replace("/etc/portolan/portolan.yaml", config).split(" "),
      ],
      env: { PORTOLAN_LISTEN: new URL(url).host, PORTOLAN_STATE_DIR: state, ...env },
      dir: state,
      dataDir: state,
      logFile: join(dir, `${name}.log`),
      ready: async () => (await get(`${url}/readyz`)).trim() === "ready",
    });
    running.push(server);
  }

  it("register a container and put it behind a HAProxy that root has started", async () => {
    const docker = dockerCli(inject("docker"));
    const port = await freePort();
    const written = parse(readFileSync(join(example, "portolan.yaml"), "utf8"));
    const [target] = written.templater.templates;
    expect(target.source).toBe("/usr/local/lib/node_modules/portolan/templates/haproxy.cfg.hbs");
    const places = {
      [target.source]: join(root, "templates/haproxy.cfg.hbs"),
      [target.destination]: join(dir, "haproxy.cfg"),
      [target.reload.haproxy.socket]: join(dir, "admin.sock"),
      [target.reload.haproxy.master]: join(dir, "master.sock"),
      [written.backend]: `file://${dir}/registry`,
    };
    let text = stringify(written);
    for (const [from, to] of Object.entries(places)) text = text.replace(from, to);
    const config = join(dir, "portolan.yaml");
    writeFileSync(config, text);

    const { socket, address } = inject("docker");
    const label = "portolan.units";
    await start("registrator", config, {
      PORTOLAN_DOCKER: `unix://${socket}`,
      PORTOLAN_IP: address,
      PORTOLAN_SELECT: label,
    });
    writeFileSync(
      join(dir, "haproxy.cfg"),
      `global\n stats socket ${dir}/admin.sock level admin expose-fd listeners\nlisten first\n mode http\n bind 127.0.0.1:${port}\n timeout client 1s\n`,
    );
    running.push(
      await startHaproxy({ config: join(dir, "haproxy.cfg"), masterSocket: join(dir, "master.sock") }),
    );
    await start("templater", config, {
      PORTOLAN_HTTP_BIND: `127.0.0.1:${port}`,
      PORTOLAN_HAPROXY_SOCKET: join(dir, "admin.sock"),
    });
    web = await runWeb(docker, {
      name: "unit-web",
      publish: ["80"],
      labels: { SERVICE_HTTP_HOST: "unit.test", [label]: "1" },
    });
    const ask = () => get(`http://127.0.0.1:${port}/`, { host: "unit.test" });
    await waitFor("the page", async () => (await ask()).trim() === "unit-web", { within: 20_000 });
  });
});
