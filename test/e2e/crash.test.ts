import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "tsup";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import { askOnce } from "../../src/templater/reload/haproxy/cli.ts";
import { instance, registryFolder } from "../commands/registry-folder.ts";
import { startHaproxy } from "../servers/haproxy.ts";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";

const cli = join(import.meta.dirname, "../../dist/cli.js");
const bundle = tempDir("failpoint");
const never = new AbortController().signal;

/** Every so many steps of a run are tried; 1 tries all of them. */
const stride = Number(process.env.PORTOLAN_TEST_CRASH_STRIDE ?? 8);

beforeAll(async () => {
  const entry = [join(import.meta.dirname, "failpoint.ts")];
  await build({ entry, outDir: bundle, format: "esm", config: false, silent: true, clean: false });
});

/** HAProxy, a registry, and a configuration of one file, or of a file and a map that it names. */
async function createPlace(withMap: boolean) {
  const { haproxy: program } = await ensureInstalled(["haproxy"]);
  const dir = tempDir("crash-cli");
  const registry = registryFolder(join(dir, "registry"));
  const [socket, master] = [join(dir, "a.sock"), join(dir, "m.sock")];
  const live = join(dir, "live");
  const names = ["haproxy.cfg", ...(withMap ? ["hosts.map"] : [])];
  const [main = "", map = ""] = names.map((name) => join(live, name));
  const each = '{{#each (service "web")}}';
  const proxy = (servers: string) => `global
  stats socket ${socket} mode 660 level admin expose-fd listeners
  mworker-max-reloads 5
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend f
  bind unix@${dir}/f.sock
${withMap ? `  http-request set-header x %[req.hdr(host),map(${map},none)]\n` : ""}  default_backend web
backend web
  balance roundrobin
${servers}`;
  writeFileSync(
    join(dir, "haproxy.cfg.hbs"),
    proxy(`${each}\n  server s{{port}} 127.0.0.1:{{port}}\n{{/each}}\n`),
  );
  writeFileSync(join(dir, "hosts.map.hbs"), `${each}\nh{{port}} s{{port}}\n{{/each}}\n`);
  const config = {
    backend: registry.url,
    stateDir: join(dir, "state"),
    templater: {
      minInterval: "1ms",
      templates: names.map((name) => ({
        source: join(dir, `${name}.hbs`),
        destination: join(live, name),
        ...(withMap && { group: "lb" }),
        ...(name === "haproxy.cfg" && { check: [program.haproxy, "-c", "-f", "{{src}}"] }),
        reload: { haproxy: { socket, master } },
        // Nobody answers for the records of this registry: what goes from it would be held for a while.
        guard: { hold: "0s" },
      })),
    },
  };
  writeFileSync(join(dir, "portolan.yaml"), JSON.stringify(config));

  /** One run of the templater; the number of its changes, or "killed". */
  const run = (dieAt: number) =>
    new Promise<number | "killed">((resolve, reject) => {
      const args = [
        "--import",
        join(bundle, "failpoint.js"),
        cli,
        "templater",
        "--once",
        "-c",
        join(dir, "portolan.yaml"),
      ];
      const env = { PATH: process.env.PATH, PORTOLAN_TEST_DIE_AT: String(dieAt) };
      const child = spawn(process.execPath, args, { cwd: dir, env, stdio: ["ignore", "ignore", "pipe"] });
      let said = "";
      child.stderr.on("data", (chunk) => {
        said += chunk;
      });
      child.once("close", (code, signal) => {
        const changes = /changes: (\d+)/.exec(said)?.[1];
        if (signal === "SIGKILL") resolve("killed");
        else if (code === 0) resolve(Number(changes ?? 0));
        else reject(new Error(said));
      });
    });
  return {
    live,
    main,
    run,
    start: async () => {
      // What HAProxy begins with is not Portolan's, and has no map yet.
      mkdirSync(live);
      writeFileSync(main, proxy("").replace(/.*map\(.*\n/, ""));
      const haproxy = await startHaproxy({ config: main, masterSocket: master });
      onTestFinished(haproxy.stop);
    },
    /** As many instances as that. */
    world(count: number) {
      rmSync(join(dir, "registry/services/web"), { recursive: true, force: true });
      for (let port = 1001; port <= 1000 + count; port++) registry.put(instance("web", port));
    },
    files: () => names.map((name) => readFileSync(join(live, name), "utf8")),
    /** The servers that take traffic. */
    async serving() {
      const stats = await askOnce(socket, "show stat web 4 -1", never);
      const rows = stats.split("\n").map((line) => line.split(","));
      const status = rows[0]?.indexOf("status") ?? -1;
      return rows
        .slice(1)
        .filter((row) => /^(no check|UP)/.test(row[status] ?? ""))
        .map((row) => row[1]);
    },
    left: () => readdirSync(live).sort(),
    state: () => readdirSync(join(dir, "state")).filter((name) => /^(\.|swap|pin)/.test(name)),
    names,
  };
}

it.each([
  ["a file whose servers HAProxy takes while it runs", false],
  ["a group that it reloads for", true],
])(
  "T1 T2 T7 T9: killed at any step and started again, it ends with the same: %s",
  async (_what, withMap) => {
    const place = await createPlace(withMap);
    await place.start();
    const servers = (count: number) => Array.from({ length: count }, (_, index) => `s${1001 + index}`);
    place.world(3);
    // Its first run ever is one of those that may be cut short.
    for (const dieAt of [25, 40, 55]) await place.run(dieAt);
    await place.run(0);
    expect(await place.serving()).toEqual(servers(3));
    const texts = new Map([[3, place.files()]]);
    place.world(4);
    const steps = await place.run(0);
    texts.set(4, place.files());
    if (steps === "killed") throw new Error("nobody was to be killed");
    expect(steps).toBeGreaterThan(30);

    let killed = 0;
    for (let dieAt = 1; dieAt <= steps; dieAt += stride) {
      const [before, after] = killed % 2 === 0 ? [4, 3] : [3, 4];
      place.world(after);
      const ended = await place.run(dieAt);
      const files = place.files();
      // Each file is whole at every moment.
      for (const [index, file] of files.entries())
        expect([texts.get(before)?.[index], texts.get(after)?.[index]]).toContain(file);
      killed += 1;
      if (ended !== "killed") expect(files).toEqual(texts.get(after));
      await place.run(0);
      expect(place.files()).toEqual(texts.get(after));
      expect((await place.serving()).sort()).toEqual(servers(after));
      expect([place.left(), place.state()]).toEqual([[...place.names].sort(), []]);
    }
    console.log(`${killed} of ${steps} steps`);
  },
  600_000,
);
