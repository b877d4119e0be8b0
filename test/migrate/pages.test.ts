import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tools } from "../../src/migrate/index.ts";
import { runHere } from "../commands/run-here.ts";
import { startDockerHost } from "../servers/docker.ts";
import { exec } from "../servers/exec.ts";
import { importWebImage, webImage } from "../servers/image.ts";
import { ensureInstalled } from "../servers/install.ts";
import { markdown, tables } from "./page-tables.ts";

const root = join(import.meta.dirname, "../..");
const pageOf = (tool: string) => readFileSync(join(root, `docs/migrating-from-${tool}.md`), "utf8");

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "portolan-migrate-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe.each(tools)("docs/migrating-from-%s.md", (tool) => {
  it("holds every key, option and function", () => {
    for (const table of tables[tool]) expect(pageOf(tool)).toContain(markdown(table));
  });
});

/** The files that a page shows, by name; all but the last are written to the test's folder. */
function shown(tool: string): { readonly files: readonly string[]; readonly expected: string } {
  const found = [...pageOf(tool).matchAll(/^`([\w./-]+)`:\n\n```\w+\n([\s\S]*?)^```$/gm)];
  const last = found.pop();
  for (const [, name = "", text = ""] of found) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return { files: found.map(([, name = ""]) => name), expected: last?.[2] ?? "" };
}

/** Runs the commands of the page's block that begins with `portolan migrate`, and gives what the last one prints. */
async function commands(tool: string): Promise<string> {
  const [, script = ""] =
    /^```sh\n(portolan migrate [^\n]*--out new\n[\s\S]*?)^```$/m.exec(pageOf(tool)) ?? [];
  let stdout = "";
  for (const line of script.trim().split("\n")) {
    const outcome = await runHere(line.split(" ").slice(1), dir);
    expect(outcome).toMatchObject({ code: 0 });
    stdout = outcome.stdout;
  }
  return stdout;
}

const filled = (text: string) => text.split("\n").filter((line) => line.trim() !== "");

describe("the worked conversions", () => {
  it("consul-template: the same file for HAProxy", async () => {
    const { expected } = shown("consul-template");
    const rendered = await commands("consul-template");
    expect(rendered).toBe(expected);
    const { haproxy } = await ensureInstalled(["haproxy"]);
    const path = join(dir, "haproxy.cfg");
    writeFileSync(path, rendered);
    await exec(haproxy.haproxy, ["-c", "-f", path]);
  });

  it("confd: the same file for nginx", async () => {
    const { expected } = shown("confd");
    const rendered = await commands("confd");
    expect(rendered).toBe(expected);
    await nginxAccepts(rendered);
  });

  it("docker-gen: the same file for nginx, of a real Docker", async () => {
    const { expected } = shown("docker-gen");
    expect(await runHere(["migrate", "docker-gen", "docker-gen.toml", "--out", "new"], dir)).toMatchObject({
      code: 0,
      stderr: expect.not.stringContaining("not turned"),
    });
    const host = await startDockerHost();
    try {
      await importWebImage(host);
      const lines = [...pageOf("docker-gen").matchAll(/^docker (run -d .*) my\/\w+$/gm)];
      let text = expected;
      for (const [at, [, line = ""]] of lines.entries()) {
        const id = await host.docker([...line.split(" "), webImage]);
        const address = await host.docker(["inspect", "--format", "{{.NetworkSettings.IPAddress}}", id]);
        text = text.replaceAll(`172.17.0.${at + 2}:`, `${address}:`);
      }
      const ours = [
        "--docker",
        host.dockerHost,
        "--ip",
        "10.98.0.1",
        "--state-dir",
        "state",
        "--log-level",
        "error",
      ];
      const output = join(dir, "default.conf");
      const target = `new/templates/default.nginx.hbs:${output}`;
      expect(await runHere(["agent", "--once", "-t", target, ...ours], dir)).toMatchObject({ code: 0 });
      const rendered = readFileSync(output, "utf8");
      expect(filled(rendered)).toEqual(filled(text));
      await nginxAccepts(`events {}\nhttp {\n${rendered}\n}\n`);
    } finally {
      await host.stop();
    }
  });
});

async function nginxAccepts(text: string): Promise<void> {
  const { nginx } = await ensureInstalled(["nginx"]);
  const path = join(dir, "nginx.conf");
  writeFileSync(path, `pid ${dir}/nginx.pid;\nerror_log stderr;\n${text}`);
  await exec(nginx.nginx, ["-t", "-e", "stderr", "-p", dir, "-c", path]);
}
