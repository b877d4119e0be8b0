import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { commandNames } from "../../src/config/command-name.ts";
import { longName, optionsOf, variableName } from "../../src/config/options.ts";
import { waitFor } from "../servers/wait.ts";
import { instance, type RegistryFolder, registryFolder } from "./registry-folder.ts";
import { type Outcome, runHere, startHere } from "./run-here.ts";

let dir: string;
let registry: RegistryFolder;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "portolan-commands-"));
  registry = registryFolder(join(dir, "registry"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const run = (...argv: string[]): Promise<Outcome> => runHere(argv, dir);
const file = (name: string, text: string) => writeFileSync(join(dir, name), text);
const hosts = '{{#each (service "web")}}\n{{address}}:{{port}}\n{{/each}}\n';

describe("help", () => {
  it.each(commandNames)("of %s begins with examples and shows every option on one screen", async (name) => {
    const { code, stdout } = await run(name, "--help");
    expect(code).toBe(0);
    expect(stdout.indexOf("Examples:")).toBeLessThan(stdout.indexOf("ptions:"));
    const lines = stdout.split("\n");
    expect(lines.length).toBeLessThan(54);
    for (const [option, { ignored, effective }] of optionsOf(name)) {
      const line = lines.find((text) => new RegExp(`^ +(-\\w, )?--${longName(option)}( |$)`).test(text));
      if (ignored || effective?.includes(name) === false) expect(line).toBeUndefined();
      else expect(line).toMatch(new RegExp(` ${variableName(option)}$`));
    }
  });

  it("of the program names every command", async () => {
    const { code, stdout } = await run("--help");
    expect(code).toBe(0);
    for (const name of commandNames) expect(stdout).toMatch(new RegExp(`^ {2}${name} `, "m"));
    expect(await run()).toEqual({ code: 78, stdout: "", stderr: `${stdout}\n` });
  });

  it("is not the version", async () => {
    expect(await run("--version")).toEqual({ code: 0, stdout: "1.2.3\n", stderr: "" });
  });
});

describe("bad usage exits with 78 and says what to do", () => {
  it.each<[line: string, stderr: RegExp]>([
    ["help registratr", /USAGE: unknown command "registratr"; the nearest known one is "registrator"/],
    ["registratr", /USAGE: unknown command "registratr"; the nearest known one is "registrator"/],
    ["registrator --tll 5 consul:", /USAGE: unknown option "--tll"; the nearest known one is --ttl/],
    ["registrator --ttl 5x consul:", /USAGE: --ttl: "5x" is not a duration; write e\.g\. 250ms/],
    ["registrator consl://x", /BACKEND_URL: .*unknown scheme "consl".*nearest is consul/],
    ["registrator etcd://x:port", /BACKEND_URL: .*"x:port" is not host:port/],
    ["services file:relative", /BACKEND_URL: .*not an absolute path/],
    ["registrator", /USAGE: no backend; give one, e\.g\. `portolan registrator consul:/],
    ["templater -t nope.hbs:out consul:", /TEMPLATE_MISSING: template .*nope\.hbs: there is no such file/],
    ["agent --listen 0.0.0.0:80 -t a:b", /USAGE: --listen: .*other machines/],
    ["check", /USAGE: nothing to check/],
    ["render --snapshot nope.json -t a.hbs:out", /USAGE: --snapshot .*nope\.json/],
  ])("%s", async (line, stderr) => {
    file("a.hbs", "");
    const outcome = await run(...line.split(" "));
    expect(outcome.stderr).toMatch(stderr);
    expect(outcome).toMatchObject({ code: 78, stdout: "" });
  });
});

describe("check", () => {
  it("names what is good", async () => {
    file("a.hbs", hosts);
    file("portolan.yaml", "templater: { templates: [{ source: a.hbs, destination: /x/a }] }");
    expect(await run("check")).toEqual({ code: 0, stdout: "portolan.yaml: ok\na.hbs: ok\n", stderr: "" });
    expect(await run("check", "-t", "a.hbs:out")).toMatchObject({ code: 0 });
  });

  it("takes no lock or copy of an editor for a partial", async () => {
    file("a.hbs", hosts);
    symlinkSync("root@host.812", join(dir, ".#a.hbs"));
    expect(await run("check", "-t", "a.hbs:out")).toMatchObject({ code: 0, stderr: "" });
  });

  it("lists every mistake of the file and of the templates at once", async () => {
    file("bad.hbs", '{{#each (service "web")}}\n{{nosuch 1}}\n{{/each}}');
    file(
      "portolan.yaml",
      [
        "templatr: {}",
        "templater:",
        "  templates:",
        "    - { source: bad.hbs, destination: a, mode: rw }",
        "    - { source: nope.hbs, destination: b }",
      ].join("\n"),
    );
    const { code, stderr } = await run("check");
    expect(code).toBe(78);
    expect(stderr.trimEnd().split("\n")).toEqual([
      expect.stringContaining("CONFIG: portolan.yaml:1:1: templatr: unknown key"),
      expect.stringContaining("CONFIG: portolan.yaml:4:42: templater.templates[0].mode: it is not a mode"),
      expect.stringMatching(/TEMPLATE: .*bad\.hbs:2:\d+: .*nosuch/),
      expect.stringMatching(/TEMPLATE_MISSING: .*nope\.hbs/),
    ]);
  });
});

describe("services", () => {
  beforeEach(() => {
    registry.put(instance("web", 81, { tags: ["blue", "prod"] }));
    registry.put(instance("web", 80, { address: "fd00::1", state: "draining" }));
    registry.put(instance("dns", 53, { protocol: "udp" }));
  });

  it("shows a table", async () => {
    expect(await run("services", registry.url)).toEqual({
      code: 0,
      stderr: "",
      stdout: [
        "SERVICE  ADDRESS          STATE     TAGS       NODE   ID",
        "dns      10.0.0.1:53/udp  ready     -          host1  host1:dns-1:53",
        "web      [fd00::1]:80     draining  -          host1  host1:web-1:80",
        "web      10.0.0.1:81      ready     blue,prod  host1  host1:web-1:81",
        "",
      ].join("\n"),
    });
  });

  it("prints records as JSON, one a line, of one service or of all", async () => {
    const { stdout } = await run("services", "web", "--json", "--backend", registry.url);
    expect(JSON.parse(stdout)).toEqual([
      instance("web", 80, { address: "fd00::1", state: "draining" }),
      instance("web", 81, { tags: ["blue", "prod"] }),
    ]);
    expect(stdout.split("\n")).toHaveLength(5);
    expect(JSON.parse((await run("services", "--json", registry.url)).stdout)).toHaveLength(3);
    expect((await run("services", "nobody", "--json", registry.url)).stdout).toBe("[]\n");
    const none = await run("services", "nobody", registry.url);
    expect(none.stdout).toBe("no instances\n");
    expect(none.stderr).toContain("holds nothing of nobody; `portolan services` shows all services");
  });

  it("--watch prints again after a change and ends with 0", async () => {
    const watching = startHere(["services", "web", "--watch", registry.url], dir);
    await waitFor("the first table", () => watching.stdout().includes("web-1:81"), { within: 10_000 });
    registry.put(instance("web", 82));
    await waitFor("the change", () => watching.stdout().includes("web-1:82"), { within: 10_000 });
    watching.stop();
    expect(await watching.ended).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("render", () => {
  beforeEach(() => {
    registry.put(instance("web", 80));
    file("a.txt.hbs", hosts);
  });
  const flags = ["-t", "a.txt.hbs:out.txt"];

  it("prints one file as it is, several under their names", async () => {
    expect(await run("render", ...flags, registry.url)).toEqual({
      code: 0,
      stdout: "10.0.0.1:80\n",
      stderr: "",
    });
    expect((await run("render", ...flags, "-t", "a.txt.hbs:b", registry.url)).stdout).toBe(
      `==> ${dir}/out.txt <==\n10.0.0.1:80\n\n==> ${dir}/b <==\n10.0.0.1:80\n`,
    );
    expect(readdirSync(dir).sort()).toEqual(["a.txt.hbs", "registry"]);
  });

  it("asks for what a template reads only once it has read something else", async () => {
    registry.put(instance("db", 5432));
    file("a.txt.hbs", `{{#each (service "web")}}{{port}}:{{#each (service "db")}}{{port}}{{/each}}{{/each}}`);
    expect(await run("render", ...flags, registry.url)).toMatchObject({ code: 0, stdout: "80:5432" });
  });

  it("renders offline from what `services --json` printed", async () => {
    file("all.json", (await run("services", "--json", registry.url)).stdout);
    expect(await run("render", ...flags, "--snapshot", "all.json")).toMatchObject({
      code: 0,
      stdout: "10.0.0.1:80\n",
    });
    file("all.json", "[]");
    expect(await run("render", ...flags, "--snapshot", "all.json")).toMatchObject({ code: 0, stdout: "" });
    file("all.json", '[{"id":"x"}]');
    expect(await run("render", ...flags, "--snapshot", "all.json")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/RECORD: .*all\.json\[0\]/),
    });
  });

  it("--diff exits with 2 when something differs, 0 when nothing does, 1 on an error", async () => {
    const none = await run("render", "--diff", ...flags, registry.url);
    expect(none).toMatchObject({ code: 2, stderr: "" });
    expect(none.stdout).toContain("--- /dev/null");
    expect(none.stdout).toContain("\n+10.0.0.1:80\n");

    file("out.txt", "10.0.0.9:80\n");
    const changed = await run("render", "--diff", ...flags, registry.url);
    expect(changed).toMatchObject({ code: 2 });
    expect(changed.stdout).toContain("-10.0.0.9:80\n+10.0.0.1:80\n");
    expect(readFileSync(join(dir, "out.txt"), "utf8")).toBe("10.0.0.9:80\n");

    file("out.txt", "10.0.0.1:80\n");
    expect(await run("render", "--diff", ...flags, registry.url)).toEqual({
      code: 0,
      stdout: "",
      stderr: "",
    });

    file("a.txt.hbs", "{{nosuch 1}}");
    const broken = await run("render", "--diff", ...flags, registry.url);
    expect(broken).toMatchObject({ code: 1, stdout: "" });
    expect(broken.stderr).toMatch(/TEMPLATE: .*a\.txt\.hbs:1:/);
  });

  it("--explain prints what each template reads", async () => {
    registry.put(instance("db", 5432));
    const db = '{{#each (service "db")}}{{port}} {{env "LEVEL" default="x"}}{{/each}}';
    file("a.txt.hbs", `{{#each (service "web")}}{{port}}{{/each}}${db}{{file "${dir}/note"}}`);
    file("each.txt.hbs", "{{name}}{{#each (services)}}{{name}}{{/each}}");
    file("note", "secret");
    file(
      "portolan.yaml",
      `backend: ${registry.url}\ntemplater:\n  templates:\n    - { source: a.txt.hbs, destination: out.txt }\n    - { source: each.txt.hbs, destination: "each-{{name}}.txt", forEach: services }\n`,
    );
    expect(await run("render", "--explain", "-c", "portolan.yaml")).toEqual({
      code: 0,
      stdout: `${dir}/out.txt
  template    ${dir}/a.txt.hbs
  services    db, web
  files       ${dir}/note
  variables   LEVEL (not set)
${dir}/each-{{name}}.txt
  template    ${dir}/each.txt.hbs
  services    the list of all, with their instances
`,
      stderr: "",
    });
  });

  it("quotes for the format that the configuration names, where the template's name does not say it", async () => {
    file("a.txt.hbs", '{{#each (service "web")}}{{quote id}} {{/each}}');
    file("c.yaml", "templater: { templates: [{ source: a.txt.hbs, destination: out, format: haproxy }] }");
    const { stdout } = await run("render", "-c", "c.yaml", registry.url);
    expect(stdout).toBe("'host1:web-1:80' ");
    expect((await run("render", ...flags, registry.url)).stdout).not.toBe(stdout);
  });

  it("tells of an instance that the file cannot hold, and renders the rest", async () => {
    registry.put(instance("web", 80, { meta: { a: "good" } }));
    registry.put(instance("web", 81, { meta: { a: "line\nbreak" } }));
    file("a.txt.hbs", '{{#each (service "web")}}\n{{port}} {{meta.a}}\n{{/each}}\n');
    const { code, stdout, stderr } = await run("render", ...flags, registry.url);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "80 good\n" });
    expect(stderr).toMatch(/instance host1:web-1:81 left out/);
  });
});

describe("templater --once", () => {
  it("--dry-run prints the difference and writes nothing", async () => {
    registry.put(instance("web", 80));
    file("a.txt.hbs", hosts);
    const argv = ["templater", "--once", "--dry-run", "--state-dir", "state", "--log-level", "error"];
    const { code, stdout } = await run(...argv, "-t", "a.txt.hbs:out.txt", registry.url);
    expect(code).toBe(0);
    expect(stdout).toContain("\n+10.0.0.1:80\n");
    expect(readdirSync(dir)).not.toContain("out.txt");
  });
});
