import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { tempDir } from "../servers/run.ts";
import { runHere } from "./run-here.ts";

const file = `backend: etcd://10.0.0.2:2379/lb
registrator: { ttl: 20, tags: [prod, blue] }
templater:
  wait: { min: 5ms, max: 1s }
  templates:
    - { source: a.hbs, destination: /etc/a.cfg, reload: { http: { url: "http://me:geheim@127.0.0.1/" } } }
`;

/** The lines of `config show`, by key: value and source. */
async function shown(line: string, env: Readonly<Record<string, string>> = {}) {
  const folder = tempDir("config-show");
  writeFileSync(join(folder, "portolan.yaml"), file);
  const { code, stdout, stderr } = await runHere(
    ["config", "show", ...line.split(" ").filter(Boolean)],
    folder,
    env,
  );
  const rows = stdout.split("\n").map((text) => text.trim().split(/ {2,}/));
  const all = new Map(rows.map(([key = "", ...rest]) => [key, rest]));
  return { folder, code, stdout, stderr, all };
}

describe("config show", () => {
  it("tells each value in force and where it comes from", async () => {
    const env = { PORTOLAN_RESYNC: "30s", DOCKER_HOST: "tcp://me:geheim@10.0.0.9:2375" };
    const { folder, code, stdout, stderr, all } = await shown("--ttl 3s", env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`portolan agent, config file: ${folder}/portolan.yaml\n`);
    expect(stdout).not.toContain("geheim");
    expect(Object.fromEntries(all)).toMatchObject({
      backend: ["etcd://10.0.0.2:2379/lb", "portolan.yaml:1:1"],
      ttl: ["3s", "--ttl"],
      resync: ["30s", "PORTOLAN_RESYNC"],
      docker: ["tcp://***@10.0.0.9:2375", "DOCKER_HOST"],
      tags: ['["prod","blue"]', "portolan.yaml:2:25"],
      wait: ['{"min":"5ms","max":"1s"}', "portolan.yaml:4:3"],
      minInterval: ["1s", "default"],
      templates: [`${folder}/a.hbs -> /etc/a.cfg`, "portolan.yaml:6:7"],
      internal: ["false", "default"],
      ip: ["-", "default"],
      listen: ["127.0.0.1:7600", "default"],
    });
  });

  it("tells it of any command, and needs nothing that the command needs", async () => {
    const { code, stdout, all } = await shown("registrator consul:");
    expect(code).toBe(0);
    expect(stdout).toContain("portolan registrator, ");
    expect(all.get("backend")).toEqual(["consul:", "argument"]);
    expect(all.get("ttl")).toEqual(["20", "portolan.yaml:2:16"]);
    expect(all.has("templates")).toBe(false);
    const folder = tempDir("config-show");
    const bare = await runHere(["config", "show", "templater"], folder);
    expect(bare).toMatchObject({ code: 0, stderr: "" });
    expect(bare.stdout).toContain("config file: none");
  });

  it("names the file of each value of a folder", async () => {
    const folder = tempDir("config-show");
    writeFileSync(join(folder, "a.yaml"), file);
    const more = "templater: { templates: [{ source: b.hbs, destination: /etc/b }], minInterval: 2s }";
    writeFileSync(join(folder, "b.yaml"), more);
    const { stdout } = await runHere(["config", "show", "templater", "-c", "."], folder);
    const rows = stdout.split("\n").map((text) => text.trim().split(/ {2,}/));
    expect(rows[0]).toEqual([`portolan templater, config files: ${folder}/a.yaml, ${folder}/b.yaml`]);
    expect(rows).toContainEqual(["minInterval", "2s", "b.yaml:1:67"]);
    expect(rows).toContainEqual(["templates", `${folder}/b.hbs -> /etc/b`, "b.yaml:1:26"]);
    expect(rows).toContainEqual(["backend", "etcd://10.0.0.2:2379/lb", "a.yaml:1:1"]);
  });

  it("says what is wrong instead", async () => {
    const { code, stdout, stderr } = await shown("--ttl 5x registratr");
    expect({ code, stdout }).toEqual({ code: 78, stdout: "" });
    expect(stderr).toContain('the nearest known one is "registrator"');
    expect((await shown("--ttl 5x")).stderr).toContain('--ttl: "5x" is not a duration');
  });
});

describe("config", () => {
  it("prints the schema", async () => {
    const { code, stdout } = await runHere(["config", "schema"], tempDir("config-schema"));
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(configJsonSchema());
  });

  it.each([
    ["config", "nothing is asked for; write portolan config show or schema"],
    ["config shema", 'unknown word "shema"; write portolan config schema'],
    ["completion", "no shell; name one of bash, zsh, fish"],
    ["completion tcsh", '"tcsh" is not one of bash, zsh, fish'],
  ])("%s is a mistake", async (line, message) => {
    const { code, stderr } = await runHere(line.split(" "), tempDir("config"));
    expect(code).toBe(78);
    expect(stderr).toContain(message);
  });

  it("completion prints what the shell reads", async () => {
    const { code, stdout } = await runHere(["completion", "bash"], tempDir("config"));
    expect(code).toBe(0);
    expect(stdout).toContain("complete -F _portolan portolan\n");
  });
});
