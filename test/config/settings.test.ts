import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseArguments } from "../../src/config/arguments.ts";
import { commandNames } from "../../src/config/command-name.ts";
import { keyPaths, type OptionName, optionsOf } from "../../src/config/options.ts";
import { type Env, readSettings, type Settings } from "../../src/config/settings.ts";
import { defaultStateFolder } from "../../src/config/state-folder.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "portolan-settings-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function settings(line: string, env: Env = {}, file?: string): Promise<Settings> {
  if (file !== undefined) writeFileSync(join(folder, "portolan.yaml"), file);
  const given = await parseArguments(line.split(" ").filter(Boolean));
  if (given.command === undefined) throw new Error(`no command in ${line}`);
  return readSettings({ ...given, command: given.command }, env, folder);
}

const texts = ({ mistakes }: Settings) => mistakes.map(({ code, text }) => `${code}: ${text}`);

describe("a value comes from the first that speaks:", () => {
  const file = "registrator: { ttl: 3s }\nlogLevel: error\n";
  it.each<[line: string, env: Env, ttl: number, origin: string]>([
    ["registrator --ttl 1s consul:", { PORTOLAN_TTL: "2s" }, 1000, "flag"],
    ["registrator consul:", { PORTOLAN_TTL: "2s" }, 2000, "environment"],
    ["registrator consul:", { PORTOLAN_TTL: "" }, 3000, "file"],
    ["agent -t a:b", {}, 3000, "file"],
  ])("%s %j", async (line, env, ttl, origin) => {
    const { values, origins, mistakes } = await settings(line, env, file);
    expect(mistakes).toEqual([]);
    expect(values.ttl).toBe(ttl);
    expect(origins.ttl).toBe(origin);
    expect(values.logLevel).toBe("error");
  });

  it("each option has a key for that, but the place of the file and what does nothing", () => {
    const keyless = commandNames.flatMap((command) =>
      optionsOf(command).filter(
        ([name, { ignored }]) => ignored === undefined && keyPaths(command, name).length === 0,
      ),
    );
    expect(new Set(keyless.map(([name]) => name))).toEqual(new Set(["config"]));
  });

  it("what only doctor can be told stands in its own section", async () => {
    const told = await settings("doctor consul:", {}, "doctor: { json: true }");
    expect(texts(told)).toEqual([]);
    expect(told.values.json).toBe(true);
    expect(texts(await settings("doctor consul:", {}, "registrator: { json: true }"))).toHaveLength(1);
  });

  it("and from the default when nobody does", async () => {
    const { values, origins, config, targets } = await settings("registrator consul:");
    expect(config).toBeUndefined();
    expect(targets).toEqual([]);
    expect(new Set(Object.values(origins))).toEqual(new Set(["default", "flag"]));
    expect(values).toMatchObject({
      docker: "unix:///var/run/docker.sock",
      ttl: 15_000,
      resync: 60_000,
      onExit: "keep",
      labelPrefix: "SERVICE_",
      tags: [],
      internal: false,
      logLevel: "info",
    });
  });

  it.each<[line: string, env: Env, file: string | undefined, backend: string[]]>([
    [
      "registrator --backend consul: etcd:",
      { PORTOLAN_BACKEND: "file:///x" },
      "backend: file:///y",
      ["consul:"],
    ],
    [
      "registrator etcd: consul:",
      { PORTOLAN_BACKEND: "file:///x" },
      "backend: file:///y",
      ["etcd:", "consul:"],
    ],
    [
      "registrator",
      { PORTOLAN_BACKEND: "file:///x  etcd://a:1,b:2" },
      undefined,
      ["file:///x", "etcd://a:1,b:2"],
    ],
    ["registrator", {}, "backend: [file:///y, 'consul:']", ["file:///y", "consul:"]],
    ["registrator", {}, "backend: file:///y\nregistrator: { backend: file:///z }", ["file:///z"]],
  ])("backend of %s %j %j", async (line, env, text, backend) => {
    const { values, mistakes } = await settings(line, env, text);
    expect(mistakes).toEqual([]);
    expect(values.backend).toEqual(backend);
  });

  it.each<[line: string, file: string | undefined, mistakes: readonly RegExp[]]>([
    ["registrator consul: --listen 0.0.0.0:1", undefined, [/^USAGE: --listen: 0\.0\.0\.0:1 can be reached/]],
    ["registrator consul: --listen [::]:1", undefined, [/\[::\]:1 can .* --listen-token-file FILE/]],
    ["registrator consul: --listen lb1:1", undefined, [/lb1:1 can be reached/]],
    ["registrator consul: --listen localhost:1", undefined, []],
    ["registrator consul: --listen 0.0.0.0:1 --listen-token-file x", undefined, []],
    ["registrator consul: --listen 0.0.0.0:1", "registrator: { listenTokenFile: x }", []],
    [
      "registrator consul:",
      "registrator: { listen: 1.2.3.4:1 }",
      [/^CONFIG: portolan\.yaml:1:16: registrator/],
    ],
    ["services consul:", "listen: 1.2.3.4:1", []],
    ["check", "listen: 1.2.3.4:1\nagent: { listenTokenFile: x }", [/^CONFIG: portolan\.yaml:1:1: listen: /]],
    ["check", "templater: { listen: 1.2.3.4:1 }", [/portolan\.yaml:1:14: templater\.listen: .*reached from/]],
    ["check", "templater: { listen: 1.2.3.4:1 }\nlistenTokenFile: x", []],
  ])("others reach no status pages without a token: %s %j", async (line, file, expected) => {
    const found = texts(await settings(line, {}, file)).filter((one) => one.includes("reached"));
    expect(found).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });

  it("a destination below none of the roots is a mistake", async () => {
    const templates = "[{ source: a, destination: /etc/lb/a }, { source: b, destination: /etc/lb2/b }]";
    const file = `templater: { destinationRoots: [/etc/lb, sub], templates: ${templates} }`;
    for (const line of ["templater consul:", "check"])
      expect(texts(await settings(line, {}, file))).toEqual([
        `CONFIG: portolan.yaml:1:99: destination /etc/lb2/b is below none of destinationRoots (/etc/lb, ${folder}/sub)`,
      ]);
    const env = { PORTOLAN_DESTINATION_ROOT: "/etc/lb:here" };
    const { targets, mistakes } = await settings("templater -t a:here/a consul:", env);
    expect(mistakes).toEqual([]);
    expect(targets[0]?.roots).toEqual(["/etc/lb", join(folder, "here")]);
  });

  it("warns of a backend that is passed over", async () => {
    expect((await settings("templater -t a:b --backend consul: etcd:")).warnings).toHaveLength(1);
  });

  it("says that a network alone changes little", async () => {
    const warnings = async (line: string) => (await settings(line)).warnings;
    expect(await warnings("registrator --network apps consul:")).toEqual([
      expect.stringMatching(
        /^--network apps is for containers .*: give --internal as well, or SERVICE_INTERNAL=true/,
      ),
    ]);
    expect(await warnings("registrator --network apps --internal consul:")).toEqual([]);
  });

  it.each<[env: Env, file: string | undefined, docker: string]>([
    [{ DOCKER_HOST: "tcp://1.2.3.4:2375" }, undefined, "tcp://1.2.3.4:2375"],
    [{ DOCKER_HOST: "tcp://1.2.3.4:2375" }, "docker: unix:///f", "unix:///f"],
    [
      { DOCKER_HOST: "tcp://1.2.3.4:2375" },
      "docker: unix:///f\nregistrator: { docker: unix:///r }",
      "unix:///r",
    ],
    [{ DOCKER_HOST: "tcp://1.2.3.4:2375", PORTOLAN_DOCKER: "unix:///e" }, "docker: unix:///f", "unix:///e"],
  ])("Docker of %j %j", async (env, file, docker) => {
    expect((await settings("registrator consul:", env, file)).values.docker).toBe(docker);
  });

  it("a section speaks for its own command only", async () => {
    const file = "listen: 127.0.0.1:1\nregistrator: { listen: 127.0.0.1:2, stateDir: here }\n";
    expect((await settings("registrator consul:", {}, file)).values).toMatchObject({
      listen: { port: 2 },
      stateDir: join(folder, "here"),
    });
    expect((await settings("templater -t a:b consul:")).values).toMatchObject({
      listen: { port: 1 },
      stateDir: undefined,
    });
  });

  it.each<[name: OptionName, env: Env, value: unknown]>([
    ["internal", { PORTOLAN_INTERNAL: "1" }, true],
    ["tags", { PORTOLAN_TAGS: "a,b" }, ["a", "b"]],
    ["select", { PORTOLAN_SELECT: "x=y" }, { label: "x", value: "y" }],
    ["onExit", { PORTOLAN_ON_EXIT: "deregister" }, "deregister"],
  ])("%s from %j", async (name, env, value) => {
    expect((await settings("registrator consul:", env)).values[name]).toEqual(value);
  });
});

describe("targets", () => {
  it("of flags are relative to the working folder, those of the file to the file", async () => {
    mkdirSync(join(folder, "etc"));
    const file = join(folder, "etc", "p.yaml");
    writeFileSync(
      file,
      "templater: { wait: 1s, minInterval: 2s, templates: [{ source: a, destination: b, timeout: 9s }] }",
    );
    const { targets, mistakes } = await settings(`templater -c etc/p.yaml consul:`);
    expect(mistakes).toEqual([]);
    expect(targets).toEqual([
      {
        source: join(folder, "etc/a"),
        destination: join(folder, "etc/b"),
        reload: { kind: "none" },
        commandTimeout: 9000,
        wait: { min: 1000, max: 4000 },
        minInterval: 2000,
      },
    ]);
    const flags = await settings(`templater -c etc/p.yaml -t x:y consul:`);
    expect(flags.targets).toMatchObject([{ source: join(folder, "x"), destination: join(folder, "y") }]);
  });

  it("of the environment stand one a line", async () => {
    const { targets } = await settings("agent", { PORTOLAN_TEMPLATE: "a:b:reload now\nc:d" });
    expect(targets.map(({ reload }) => reload)).toEqual([
      { kind: "command", command: { shell: "reload now" } },
      { kind: "none" },
    ]);
  });
});

describe("mistakes", () => {
  it("of all sides are told together", async () => {
    const found = await settings(
      "registrator --ttl 5x --nope consl://x",
      { PORTOLAN_INTERNAL: "maybe" },
      "registrator: { ipp: 1 }",
    );
    expect(texts(found)).toEqual([
      expect.stringContaining('USAGE: unknown option "--nope"'),
      expect.stringContaining("CONFIG: portolan.yaml:1:16: registrator.ipp"),
      expect.stringContaining('BACKEND_URL: argument: backend "consl://x"'),
      expect.stringContaining("USAGE: PORTOLAN_INTERNAL"),
      expect.stringContaining("USAGE: --ttl"),
    ]);
  });

  it.each<[line: string, mistake: RegExp | undefined]>([
    ["registrator", /USAGE: no backend; give one/],
    ["templater -t a:b", /USAGE: no backend/],
    ["services", /USAGE: no backend/],
    ["render -t a:b", /USAGE: no backend/],
    ["render -t a:b --snapshot s.json", undefined],
    ["agent -t a:b", undefined],
    ["agent", /USAGE: no template/],
    ["templater consul:", /USAGE: no template/],
    ["templater -t a:b consul: etcd:", /templater takes one backend, and 2 are given/],
    ["registrator memory:", /BACKEND_URL: memory: lives inside one process/],
    ["registrator consul: web", /unexpected argument "web"; a backend is written as a URL/],
    ["services web consul:", undefined],
    ["services web api consul:", /unexpected argument "api"/],
    ["check consul:", /unexpected argument "consul:"/],
    ["templater -t a:b -t c:./b consul:", /two templates have the destination \.\/b/],
    [
      "templater -t a:{{name}}.conf consul:",
      /\{\{name\}\}\.conf holds \{\{name\}\}, which needs forEach: services/,
    ],
    ["check -c nowhere.yaml", /CONFIG: nowhere.yaml: there is no such file/],
  ])("%s", async (line, mistake) => {
    const found = texts(await settings(line));
    expect(found).toEqual(mistake === undefined ? [] : [expect.stringMatching(mistake)]);
  });

  it("has something to say of what registrator's options no longer do", async () => {
    const { ignored, mistakes } = await settings("registrator -cleanup -retry-attempts -1 consul:");
    expect(mistakes).toEqual([]);
    expect(ignored).toEqual([expect.stringMatching(/^-cleanup/), expect.stringMatching(/^-retry-attempts/)]);
  });
});

describe("a folder as the config file", () => {
  const write = (files: Readonly<Record<string, string>>) => {
    mkdirSync(join(folder, "conf.d"));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, "conf.d", name), text);
  };

  it("is what all of its files say, in the order of their names", async () => {
    write({
      "20-web.yaml": "templater: { templates: [{ source: web.hbs, destination: /web }] }",
      "10-base.yml":
        '{ backend: ["etcd:"], templater: { wait: 5ms, templates: [{ source: a.hbs, destination: b }] } }',
      "30.json": '{ "templater": { "minInterval": "2s" }, "backend": ["consul:"] }',
      ".20-web.yaml": "broken: [",
      "note.txt": "broken: [",
    });
    mkdirSync(join(folder, "conf.d/more.d"));
    const read = await settings("check -c conf.d");
    expect(texts(read)).toEqual([]);
    const dir = join(folder, "conf.d");
    expect(read.config).toEqual({
      folder: dir,
      files: ["10-base.yml", "20-web.yaml", "30.json"].map((name) => join(dir, name)),
    });
    expect(read.values.backend).toEqual(["etcd:", "consul:"]);
    expect(read.targets).toMatchObject([
      { source: join(dir, "a.hbs"), destination: join(dir, "b") },
      { source: join(dir, "web.hbs"), destination: "/web" },
    ]);
    expect(read.templateSources).toEqual([join(dir, "a.hbs"), join(dir, "web.hbs")]);
    expect(read.values.template.map(({ place }) => place)).toEqual([
      "conf.d/10-base.yml:1:59",
      "conf.d/20-web.yaml:1:26",
    ]);
    const { values, said } = await settings("templater consul: -c conf.d");
    expect(values).toMatchObject({ minInterval: 2_000, wait: { min: 5, max: 20 } });
    expect(said.get("minInterval")).toMatchObject({ label: "conf.d/30.json:1:18", texts: ["2s"] });
    expect(said.get("template")?.label).toBe("conf.d/10-base.yml:1:47, conf.d/20-web.yaml:1:14");
  });

  it("tells every mistake of all files at once, with its place", async () => {
    write({
      "a.yaml": "logLevl: warn\ntemplater: { wait: 5ms, templates: [{ source: a }] }\n",
      "b.yaml": "templater:\n  wait: 6ms\n  templates: [{ source: b, destination: c, mode: 9 }]\n",
      "c.yaml": "backend: [\n",
    });
    expect((await settings("check -c conf.d")).mistakes.map(({ text }) => text)).toEqual([
      expect.stringMatching(/^conf\.d\/c\.yaml:2:1: /),
      "conf.d/b.yaml:2:3: templater.wait: it is set at conf.d/a.yaml:2:14, too",
      'conf.d/a.yaml:1:1: logLevl: unknown key; the nearest known one is "logLevel"',
      "conf.d/a.yaml:2:37: templater.templates[0].destination: it is missing",
      "conf.d/b.yaml:3:44: templater.templates[1].mode: it is not a mode; write e.g. 0644",
    ]);
  });

  it("says of two files with one destination where the second stands", async () => {
    const entry = "templater: { templates: [{ source: a, destination: /b }] }";
    write({ "a.yaml": entry, "b.yaml": entry });
    expect(texts(await settings("check -c conf.d"))).toEqual([
      "CONFIG: conf.d/b.yaml:1:26: two templates have the destination /b",
    ]);
  });

  it("says so beside all else that is wrong", async () => {
    const entry = "{ source: a, destination: /b }";
    write({ "a.yaml": `templater: { wait: x, templates: [${entry}, { source: b }, ${entry}] }` });
    expect(texts(await settings("check -c conf.d"))).toEqual([
      expect.stringMatching(/conf\.d\/a\.yaml:1:14: templater\.wait: /),
      expect.stringMatching(/templater\.templates\[1\]\.destination: it is missing/),
      "CONFIG: conf.d/a.yaml:1:82: two templates have the destination /b",
    ]);
  });

  it("needs a file", async () => {
    write({});
    expect(texts(await settings("check -c conf.d"))).toEqual([
      "CONFIG: conf.d: there is no *.yaml, *.yml or *.json in it",
    ]);
  });

  it("is like a file: of several that are given, the last counts", async () => {
    write({ "a.yaml": "logLevel: warn" });
    writeFileSync(join(folder, "b.yaml"), "logLevel: error");
    expect((await settings("check -c b.yaml --config conf.d")).values.logLevel).toBe("warn");
    expect((await settings("check -c conf.d -c b.yaml")).values.logLevel).toBe("error");
    expect((await settings("check", { PORTOLAN_CONFIG: "conf.d" })).values.logLevel).toBe("warn");
  });
});

it.each([
  [
    "{ name: b }",
    ["CONFIG: portolan.yaml:1:94: the reloadTurns of /b and /a differ; a group reloads in one turn"],
  ],
  ["{ name: a, atMost: 1, wait: 30s }", []],
])("the templates of a group reload in the same turns: %s", async (turns, mistakes) => {
  const entry = (destination: string, text: string) =>
    `{ source: x, destination: ${destination}, group: g, reloadTurns: ${text} }`;
  const file = `templater: { templates: [${entry("/a", "{ name: a }")}, ${entry("/b", turns)}] }`;
  expect(texts(await settings("check", {}, file))).toEqual(mistakes);
});

describe("the default state folder", () => {
  it("is the system's where that can be written", async () => {
    expect(await defaultStateFolder("registrator", {}, join(folder, "state"))).toBe(
      join(folder, "state/registrator"),
    );
  });

  it.each<[env: Env, path: string]>([
    [{ XDG_STATE_HOME: "/x/state", HOME: "/home/me" }, "/x/state/portolan/agent"],
    [{ HOME: "/home/me" }, "/home/me/.local/state/portolan/agent"],
  ])("else the user's: %j", async (env, path) => {
    writeFileSync(join(folder, "file"), "");
    expect(await defaultStateFolder("agent", env, join(folder, "file"))).toBe(path);
  });
});
