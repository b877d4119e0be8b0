import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tools } from "../../src/migrate/index.ts";
import { loadTemplate } from "../../src/templater/load.ts";
import { renderTemplate } from "../../src/templater/render.ts";
import { runHere } from "../commands/run-here.ts";
import { exec } from "../servers/exec.ts";
import { ensureInstalled } from "../servers/install.ts";
import { worldOf } from "../templater/golden/world.ts";
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

  it("docker-gen: the same file for nginx", async () => {
    const { expected } = shown("docker-gen");
    const { code } = await runHere(["migrate", "docker-gen", "docker-gen.toml", "--out", "new"], dir);
    expect(code).toBe(0);
    // The containers come from a file here, and not from the agent's Docker.
    const path = join(dir, "new/templates/default.nginx.hbs");
    const text = readFileSync(path, "utf8");
    expect(text.match(/\(containers\)/g)).toHaveLength(1);
    writeFileSync(path, text.replace("(containers)", '(parseJSON (file "../../containers.json"))'));
    const rendered = renderTemplate(await loadTemplate(path), worldOf([]));
    if (rendered.status !== "rendered") throw new Error("it waits");
    expect(filled(rendered.text)).toEqual(filled(expected));
    await nginxAccepts(`events {}\nhttp {\n${rendered.text}\n}\n`);
  });
});

async function nginxAccepts(text: string): Promise<void> {
  const { nginx } = await ensureInstalled(["nginx"]);
  const path = join(dir, "nginx.conf");
  writeFileSync(path, `pid ${dir}/nginx.pid;\nerror_log stderr;\n${text}`);
  await exec(nginx.nginx, ["-t", "-e", "stderr", "-p", dir, "-c", path]);
}
