import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

  it.each<[line: string, code: number, stderr: RegExp]>([
    ["migrate", 78, /USAGE: migrate needs one of consul-template, confd, docker-gen, and a file/],
    ["migrate nagios a.hcl", 78, /"nagios" is not one of/],
    ["migrate confd none.toml", 78, /none\.toml cannot be read/],
    ["migrate docker-gen a.hcl", 1, /a\.hcl.*neither a configuration nor a template of docker-gen/],
  ])("%s", async (line, code, stderr) => {
    expect(await run(line)).toMatchObject({ code, stdout: "", stderr: expect.stringMatching(stderr) });
  });
});
