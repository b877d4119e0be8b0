import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { decodeInstance, type Instance } from "../../src/instance.ts";
import { loadTemplate } from "../../src/templater/load.ts";
import { renderTemplate, type Template } from "../../src/templater/render.ts";
import { exec } from "../servers/exec.ts";
import { ensureInstalled } from "../servers/install.ts";
import { tempDir } from "../servers/run.ts";
import { instance, worldOf } from "./golden/world.ts";

const golden = join(import.meta.dirname, "golden");
const shipped = join(import.meta.dirname, "../../templates");
const dir = tempDir("templates");
const env = {
  PORTOLAN_HTTP_BIND: "127.0.0.1:8080",
  PORTOLAN_NGINX_PID: "nginx.pid",
  PORTOLAN_NGINX_ERROR_LOG: "stderr",
  PORTOLAN_NGINX_TEMP: "temp",
};

const files = ["haproxy.cfg", "nginx.conf"] as const;
const templates = new Map<string, Template>();

beforeAll(async () => {
  await ensureInstalled(["haproxy", "nginx"]);
  for (const file of files) {
    templates.set(file, await loadTemplate(join(shipped, `${file}.hbs`)));
  }
  mkdirSync(join(dir, "temp"));
});

function render(file: string, instances: readonly Instance[]) {
  const template = templates.get(file);
  if (!template) throw new Error(`no template ${file}`);
  const rendered = renderTemplate(template, worldOf(instances, env));
  if (rendered.status !== "rendered") throw new Error("waiting");
  return rendered;
}

/** Lets the real program check a rendered file. */
async function accepted(file: string, text: string): Promise<string> {
  const path = join(dir, file);
  writeFileSync(path, text);
  if (file === "haproxy.cfg") return exec("haproxy", ["-c", "-f", path]);
  return exec("nginx", ["-t", "-q", "-p", dir, "-c", path]);
}

const cases = readdirSync(golden, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

describe.each(cases)("golden %s", (name) => {
  const records: unknown[] = JSON.parse(readFileSync(join(golden, name, "services.json"), "utf8"));
  const instances = records.map((record) => decodeInstance(JSON.stringify(record), name));

  it.each(files)("%s", async (file) => {
    const { text } = render(file, instances);
    await expect(text).toMatchFileSnapshot(join(golden, name, file));
    await accepted(file, text);
  });

  it("refused.txt", async () => {
    const lines = files.flatMap((file) =>
      render(file, instances).refused.map(({ id, reason }) => {
        // The place changes with every edit of the template.
        return `${file}: ${JSON.stringify(id)}: ${reason.replace(/^\S+:\d+:\d+: /, "")}\n`;
      }),
    );
    await expect(lines.join("")).toMatchFileSnapshot(join(golden, name, "refused.txt"));
  });
});

describe.each(files)("%s", (file) => {
  it("takes 1,000 instances, in a moment", async () => {
    const many = Array.from({ length: 1000 }, (_, n) =>
      instance({
        id: `host${n % 100}:web-${n}:80`,
        service: `service-${n % 50}`,
        address: `10.${n >> 8}.${n & 255}.1`,
        meta: { http_host: `${n % 50}.example.com`, http_path: n % 100 < 50 ? "/" : "/api" },
      }),
    );
    render(file, many);
    const started = performance.now();
    const { text } = render(file, many);
    // Some ms on an idle machine; the bench measures it.
    expect(performance.now() - started).toBeLessThan(1000);
    expect(text.match(/^ {4,}server \S+ /gm)?.length).toBeGreaterThanOrEqual(1000);
    await accepted(file, text);
  });

  it("takes 1,000 instances of one service", async () => {
    const many = Array.from({ length: 1000 }, (_, n) =>
      instance({ id: `h:web-${n}:80`, port: n + 1, meta: { http_host: "a.com,b.com,*.c.com" } }),
    );
    await accepted(file, render(file, many).text);
  });

  it("takes the longest hosts, paths and names that it admits", async () => {
    const label = "a".repeat(63);
    const host = `${label}.${label}.${label}.${"b".repeat(61)}`;
    const long = Array.from({ length: 20 }, (_, n) =>
      instance({
        id: `${"i".repeat(2000)}${n}`,
        service: `${"s".repeat(2000)}${n % 2}`,
        meta: { http_host: n % 3 ? host : `*.${host.slice(2)}`, http_path: `/${"p".repeat(253)}${n % 2}` },
      }),
    );
    const { text, refused } = render(file, long);
    expect(refused).toEqual([]);
    await accepted(file, text);
  });

  // T10: whatever a registry says, the file has the lines that the template writes, and the program takes it.
  it("keeps its structure, whatever instances say", async () => {
    const nasty = fc.oneof(
      fc.string({ unit: "binary", maxLength: 30 }),
      fc.stringMatching(/^[a-z.*/ \n\r\t"'`$\\{};#%|&()]{1,12}$/),
      fc.constantFrom(
        "\nbackend evil\n",
        "'; }",
        "$HOME",
        "if",
        "{",
        "}",
        "--",
        "..",
        "__proto__",
        "constructor",
      ),
    );
    const text = fc.oneof(
      { weight: 2, arbitrary: nasty },
      { weight: 1, arbitrary: fc.constantFrom("web", "a.com", "/x") },
    );
    const hostile = fc.record({
      id: text.filter((id) => id !== ""),
      service: text.filter((service) => service !== ""),
      address: fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom("10.0.0.1", "::1") },
        { weight: 1, arbitrary: text },
      ),
      node: text,
      tags: fc.array(text, { maxLength: 2 }),
      weight: fc.integer({ min: 0, max: 256 }),
      state: fc.constantFrom("ready" as const, "ready" as const, "draining" as const),
      meta: fc.record(
        {
          http_host: fc.oneof(text, fc.constantFrom("a.com", "b.com,*.c.com")),
          http_path: text,
          http_check: text,
          "x\ny": text,
        },
        { requiredKeys: ["http_host"] },
      ),
    });
    const samples = fc.sample(hostile, { numRuns: 300, seed: 7 });
    const unique = [...new Map(samples.map((one) => [`${one.service}\0${one.id}`, instance(one)])).values()];
    const good = instance({ id: "good", service: "good", meta: { http_host: "good.example.com" } });
    const rendered = render(file, [...unique, good]);
    expect(rendered.refused.length).toBeGreaterThan(50);
    expect(rendered.refused.map(({ id }) => id)).not.toContain("good");
    expect(rendered.text).toContain("good.example.com");
    const firstWords = (text: string) =>
      new Set(text.split("\n").map((line) => line.trim().split(/[ ;]/)[0]));
    const written = firstWords(readFileSync(join(shipped, `${file}.hbs`), "utf8"));
    expect([...firstWords(rendered.text)].filter((word) => !written.has(word))).toEqual([]);
    await accepted(file, rendered.text);
  });
});
