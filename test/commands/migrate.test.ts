import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { runHere } from "./run-here.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "portolan-migrate-"));
  writeFileSync(join(dir, "a.ctmpl"), '{{ range service "web" }}{{ .Address }}\n{{ end }}{{ timestamp }}\n');
  writeFileSync(join(dir, "a.hcl"), 'template { source = "a.ctmpl" destination = "/etc/a" }\nvault {}\n');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const run = (line: string) => runHere(line.split(" "), dir);

describe("portolan migrate", () => {
  it("prints a configuration that can be used as it is, and tells what is not turned", async () => {
    // The shell has emptied the file to which it sends the output.
    writeFileSync(join(dir, "portolan.yaml"), "");
    const { code, stdout, stderr } = await run("migrate consul-template a.hcl");
    expect(code).toBe(0);
    expect(parse(stdout).templater.templates).toEqual([{ source: "templates/a.hbs", destination: "/etc/a" }]);
    expect(stdout).toMatch(/^# {3}a\.ctmpl:2: \{\{ timestamp \}\}: /m);
    expect(stdout).toMatch(/^# ==> templates\/a\.hbs <==$/m);
    expect(stderr).toMatch(/^not turned: a\.ctmpl:2: \{\{ timestamp \}\}: .*never equals itself$/m);
    expect(stderr).toMatch(/^not turned: a\.hcl:2: vault: keep secrets/m);
    expect(stderr).toMatch(/--out DIR/);
  });

  it("--out writes the files, and replaces none", async () => {
    expect(await run("migrate consul-template a.hcl --out new")).toMatchObject({
      code: 0,
      stdout: "new/portolan.yaml\nnew/templates/a.hbs\n",
    });
    expect(readFileSync(join(dir, "new/templates/a.hbs"), "utf8")).toContain('{{#each (service "web")}}');
    // The gap does not compile.
    expect(await run("check -c new/portolan.yaml")).toMatchObject({
      code: 78,
      stderr: expect.stringMatching(/a\.hbs:4:1: unknown helper "notTurned"/),
    });
    expect(await run("migrate consul-template a.hcl --out new")).toMatchObject({
      code: 78,
      stderr: expect.stringMatching(/portolan\.yaml exists already/),
    });
  });

  it("prints a template alone", async () => {
    const { stdout } = await run("migrate consul-template a.ctmpl");
    expect(stdout).toMatch(
      /^\{\{#each \(service "web"\)\}\}\n\{\{address\}\}\n\{\{\/each\}\}\n\{\{notTurned /,
    );
  });

  it("turns a folder of confd's, one file for each resource, into one configuration", async () => {
    const put = (name: string, text: string) => writeFileSync(join(dir, name), text);
    for (const folder of ["confd/conf.d", "confd/templates"])
      mkdirSync(join(dir, folder), { recursive: true });
    const resource = (src: string, dest: string) =>
      `[template]\nsrc = "${src}"\ndest = "${dest}"\nkeys = ["/"]\n`;
    put("confd/conf.d/a.toml", resource("a.tmpl", "/etc/a.conf"));
    put("confd/conf.d/b.toml", resource("b.tmpl", "/srv/a.conf"));
    put("confd/conf.d/c.toml", resource("c.tmpl", "/etc/c.conf"));
    put("confd/conf.d/d.toml", "[template\n");
    put("confd/templates/a.tmpl", '{{getv "/a"}}\n{{datetime}}\n');
    put("confd/templates/b.tmpl", '{{getv "/b"}}\n');
    const both = await run("migrate confd confd --out new");
    const notes = both.stderr.split("\n").filter((line) => line.startsWith("not turned: "));
    expect(notes.map((line) => line.split(": ").slice(1, 3).join(" "))).toEqual([
      "confd/conf.d/c.toml:2 src c.tmpl",
      "confd/conf.d/d.toml:1 the whole file",
      "confd/confd.toml:1 backend",
      "confd/templates/a.tmpl:2 {{datetime}}",
    ]);
    const config = readFileSync(join(dir, "new/portolan.yaml"), "utf8");
    expect(config).toMatch(/^# Turned from confd by `portolan migrate`\.$/m);
    expect(parse(config).templater.templates).toEqual([
      { source: "templates/a.conf.hbs", destination: "/etc/a.conf" },
      { source: "templates/a-2.conf.hbs", destination: "/srv/a.conf" },
      { source: "templates/c.conf.hbs", destination: "/etc/c.conf" },
    ]);
    expect(readFileSync(join(dir, "new/templates/a-2.conf.hbs"), "utf8")).toBe('{{key "/b"}}\n');
    expect(both.stdout.split("\n").slice(1, 3)).toEqual([
      "new/templates/a.conf.hbs",
      "new/templates/a-2.conf.hbs",
    ]);

    // The folder of the resources, and some of them by name, with a confd.toml now.
    put("confd/confd.toml", 'backend = "etcdv3"\n');
    const folder = await run("migrate confd confd/conf.d/");
    expect(parse(folder.stdout)).toMatchObject({
      backend: "etcd://127.0.0.1:2379",
      templater: { templates: [{ destination: "/etc/a.conf" }, {}, {}] },
    });
    const some = await run("migrate confd confd/conf.d/b.toml confd/conf.d/a.toml");
    expect(some.stdout).toMatch(/^# Turned from confd\/conf\.d\/b\.toml, confd\/conf\.d\/a\.toml by/);
    expect(parse(some.stdout).templater.templates).toMatchObject([
      { destination: "/srv/a.conf" },
      { destination: "/etc/a.conf" },
    ]);
  });

  it("turns a folder of consul-template's, and tells where two files do not go together", async () => {
    mkdirSync(join(dir, "d"));
    writeFileSync(join(dir, "d/10.hcl"), 'log_level = "info"\nconsul { address = "10.0.0.2:8500" }\n');
    for (const [name, level] of [
      ["20", "info"],
      ["30", "debug"],
    ]) {
      const template = `template {\n contents = "x"\n destination = "/etc/${name}"\n}\n`;
      writeFileSync(join(dir, `d/${name}.hcl`), `log_level = "${level}"\n${template}`);
    }
    const { stdout, stderr } = await run("migrate consul-template d");
    expect(parse(stdout)).toMatchObject({
      backend: "consul://10.0.0.2:8500",
      logLevel: "info",
      templater: { templates: [{ destination: "/etc/20" }, { destination: "/etc/30" }] },
    });
    expect(stderr).toMatch(/^not turned: d\/30\.hcl:1: logLevel "debug": a file before it says "info"/m);
  });

  it.each<[line: string, code: number, stderr: RegExp]>([
    ["migrate", 78, /USAGE: migrate needs one of consul-template, confd, docker-gen, and files or a folder/],
    ["migrate nagios a.hcl", 78, /"nagios" is not one of/],
    ["migrate confd none.toml", 78, /none\.toml cannot be read/],
    [
      "migrate confd .",
      78,
      /\. cannot be read; give a file that there is, or a folder with configurations of confd/,
    ],
    ["migrate docker-gen a.hcl", 1, /a\.hcl.*neither a configuration nor a template of docker-gen/],
  ])("%s", async (line, code, stderr) => {
    expect(await run(line)).toMatchObject({ code, stdout: "", stderr: expect.stringMatching(stderr) });
  });
});
