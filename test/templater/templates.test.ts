import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { decodeInstance, type Instance } from "../../src/instance.ts";
import { loadTemplate } from "../../src/templater/load.ts";
import { renderTemplate, type Template } from "../../src/templater/render.ts";
import type { World } from "../../src/templater/view.ts";
import fc from "../property.ts";
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
  PORTOLAN_STREAM_ADDRESS: "127.0.0.1",
};

/** Every shipped template, and those that route HTTP. */
const files = readdirSync(shipped)
  .sort()
  .map((name) => name.replace(/\.hbs$/, ""));
const httpFiles: readonly string[] = ["haproxy.cfg", "nginx.conf", "traefik-dynamic.yaml"];
const templates = new Map<string, Template>();

beforeAll(async () => {
  await ensureInstalled(["haproxy", "nginx", "nginxStream"]);
  for (const file of files) {
    templates.set(file, await loadTemplate(join(shipped, `${file}.hbs`)));
  }
  mkdirSync(join(dir, "temp"));
  mkdirSync(join(dir, "certs"));
  const [key, certificate] = [join(dir, "key"), join(dir, "certificate")];
  const subject = ["-subj", "/CN=www.example.com", "-keyout", key, "-out", certificate];
  await exec("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", ...subject]);
  const pem = readFileSync(certificate, "utf8") + readFileSync(key, "utf8");
  writeFileSync(join(dir, "certs/www.example.com.pem"), pem);
});

function render(file: string, instances: readonly Instance[], more: World["env"] = {}) {
  const template = templates.get(file);
  if (!template) throw new Error(`no template ${file}`);
  const rendered = renderTemplate(template, worldOf(instances, { ...env, ...more }));
  if (rendered.status !== "rendered") throw new Error("waiting");
  return rendered;
}

/** Lets the real program check a rendered file; where there is none, the documented shape. */
async function accepted(file: string, text: string): Promise<unknown> {
  const path = join(dir, file);
  writeFileSync(path, text);
  if (file.startsWith("haproxy")) return exec("haproxy", ["-c", "-f", path], { cwd: dir });
  if (file.startsWith("nginx")) return exec("nginx", ["-t", "-q", "-p", dir, "-c", path]);
  const shape = shapes[file];
  if (shape === undefined) throw new Error(`nothing checks ${file}`);
  return shape(text);
}

const anyText = expect.any(String);
const target = { targets: [expect.stringMatching(/^\S+:\d+$/)], labels: expect.any(Object) };
const member = {
  serverAddresses: [expect.toSatisfy((address: string) => isIP(address) !== 0)],
  servicePort: expect.any(Number),
  priorityGroup: expect.toBeOneOf([0, 9, 10]),
  ratio: expect.toSatisfy((ratio: number) => ratio >= 1 && ratio <= 256),
  adminState: expect.toBeOneOf(["enable", "disable"]),
  shareNodes: true,
};
const pool = { class: "Pool", monitors: [anyText], minimumMembersActive: 1, members: expect.any(Array) };

/** What the programs without a check here say about their files. */
const shapes: Readonly<Record<string, (text: string) => void>> = {
  hosts(text) {
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    for (const line of lines) {
      const [address = "", name = "", ...below] = line.split(" ");
      expect([isIP(address) !== 0, below.length < 2]).toEqual([true, true]);
      expect(name).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/);
      for (const longer of below) expect(longer).toBe(`${name}.service.internal`);
    }
  },
  // https://prometheus.io/docs/prometheus/latest/configuration/configuration/#file_sd_config
  "prometheus-file-sd.json"(text) {
    const groups = JSON.parse(text) as { labels: object }[];
    for (const group of groups) {
      expect(group).toEqual(target);
      for (const [name, value] of Object.entries(group.labels)) {
        expect([name, value]).toEqual([expect.stringMatching(/^[a-z_]+$/), anyText]);
      }
    }
  },
  // F5's AS3 schema: ADC, Tenant, Application, Pool, Pool_Member.
  "f5-as3.json"(text) {
    const { class: kind, action, declaration } = JSON.parse(text);
    const { Portolan, ...adc } = declaration;
    expect([kind, action, adc]).toEqual([
      "AS3",
      "deploy",
      { class: "ADC", schemaVersion: "3.20.0", id: "portolan" },
    ]);
    const { services, ...tenant } = Portolan;
    expect(tenant).toEqual({ class: "Tenant" });
    const { class: application, ...pools } = services;
    expect(application).toBe("Application");
    for (const [name, value] of Object.entries(pools)) {
      expect(name).toMatch(/^[A-Za-z][A-Za-z0-9_]{0,189}$/);
      expect(value).toEqual(pool);
      for (const one of (value as { members: unknown[] }).members) expect(one).toEqual(member);
    }
  },
  // https://doc.traefik.io/traefik/v3.5/reference/routing-configuration/dynamic-configuration-methods/
  "traefik-dynamic.yaml"(text) {
    const { http, ...rest } = (parse(text) ?? {}) as { http?: Record<string, Record<string, object>> };
    expect(rest).toEqual({});
    if (http === undefined) return;
    expect(Object.keys(http)).toEqual(["routers", "services"]);
    const services = Object.keys(http.services ?? {});
    for (const router of Object.values(http.routers ?? {})) {
      expect(router).toEqual({
        rule: expect.stringMatching(/^(Host|HostRegexp)\(`[^`]+`\) && PathPrefix\(`[^`]+`\)$/),
        priority: expect.any(Number),
        service: expect.toBeOneOf(services),
      });
    }
    for (const service of Object.values(http.services ?? {})) {
      const { loadBalancer, ...others } = service as { loadBalancer: { servers: object[] } };
      expect(others).toEqual({});
      const { servers, ...options } = loadBalancer;
      expect(Object.keys(options).filter((key) => key !== "healthCheck" && key !== "sticky")).toEqual([]);
      const server = {
        url: expect.stringMatching(/^(http|h2c):\/\/[\w.:[\]-]+$/),
        weight: expect.any(Number),
      };
      for (const one of servers) expect(one).toEqual(server);
    }
  },
};

const cases = readdirSync(golden, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

describe.each(cases)("golden %s", (name) => {
  const records: unknown[] = JSON.parse(readFileSync(join(golden, name, "services.json"), "utf8"));
  const instances = records.map((record) => decodeInstance(JSON.stringify(record), name));
  const settings = join(golden, name, "case.json");
  const { files: ofCase = httpFiles, env: more = {} } = existsSync(settings)
    ? (JSON.parse(readFileSync(settings, "utf8")) as { files?: string[]; env?: World["env"] })
    : {};

  it.each(ofCase)("%s", async (file) => {
    const { text } = render(file, instances, more);
    await expect(text).toMatchFileSnapshot(join(golden, name, file));
    await accepted(file, text);
  });

  it("refused.txt", async () => {
    const lines = ofCase.flatMap((file) =>
      render(file, instances, more).refused.map(({ id, reason }) => {
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
        role: n % 5 ? "slave" : "master",
        meta: {
          http_host: `${n % 50}.example.com`,
          http_path: n % 100 < 50 ? "/" : "/api",
          listen_port: `${11000 + (n % 50)}`,
          write_port: `${12000 + (n % 50)}`,
          read_port: `${13000 + (n % 50)}`,
          metrics: "true",
        },
      }),
    );
    render(file, many);
    const started = performance.now();
    const { text } = render(file, many);
    // Some ms on an idle machine; the bench measures it.
    expect(performance.now() - started).toBeLessThan(5_000);
    const addresses = many.filter(({ address, role }) =>
      file.includes("failover") && role === "master" ? false : text.includes(address),
    );
    expect(addresses.length).toBeGreaterThanOrEqual(800);
    await accepted(file, text);
  });

  it("takes 1,000 instances of one service", async () => {
    const many = Array.from({ length: 1000 }, (_, n) =>
      instance({
        id: `h:web-${n}:80`,
        port: n + 1,
        ...(n > 0 && { role: "slave" as const }),
        meta: { http_host: "a.com,b.com,*.c.com", listen_port: "11000", read_port: "13000", metrics: "true" },
      }),
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
    // Names that no DNS could hold have no place in a hosts file.
    if (file !== "hosts") expect(refused).toEqual([]);
    await accepted(file, text);
  });

  // The file has the lines that the template writes, and the program takes it.
  it("T10: keeps its structure, whatever instances say", async () => {
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
    const port = fc.oneof(text, fc.integer({ min: 14000, max: 14010 }).map(String));
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
      protocol: fc.constantFrom("tcp" as const, "tcp" as const, "udp" as const),
      role: fc.constantFrom("master" as const, "slave" as const),
      state: fc.constantFrom("ready" as const, "ready" as const, "draining" as const),
      meta: fc.record(
        {
          http_host: fc.oneof(text, fc.constantFrom("a.com", "b.com,*.c.com")),
          http_path: text,
          http_check: text,
          http_sticky: fc.oneof(text, fc.constant("true")),
          http_slow_start: fc.oneof(text, fc.constant("5s")),
          http_proto: fc.oneof({ weight: 1, arbitrary: text }, { weight: 9, arbitrary: fc.constant("h2") }),
          backup: fc.oneof(text, fc.constant("true")),
          listen_port: port,
          write_port: port,
          read_port: port,
          role_check: fc.oneof(text, fc.constant("redis")),
          metrics: fc.oneof(text, fc.constant("true")),
          metrics_path: text,
          "x\ny": text,
        },
        { requiredKeys: ["http_host"] },
      ),
    });
    const samples = fc.sample(hostile, { numRuns: 300, seed: 7 });
    const unique = [...new Map(samples.map((one) => [`${one.service}\0${one.id}`, instance(one)])).values()];
    const asked = {
      http_host: "good.example.com",
      listen_port: "15000",
      read_port: "15001",
      metrics: "true",
    };
    const good = instance({ id: "good", service: "good", address: "10.9.9.9", role: "slave", meta: asked });
    const rendered = render(file, [...unique, good]);
    // Where every field is written as a JSON text, nothing but an address can be wrong.
    expect(rendered.refused.length).toBeGreaterThan(file.endsWith(".json") ? 5 : 50);
    expect(rendered.refused.map(({ id }) => id)).not.toContain("good");
    expect(rendered.text).toContain("10.9.9.9");
    if (isWords(file)) {
      const written = firstWords(readFileSync(join(shipped, `${file}.hbs`), "utf8"));
      expect([...firstWords(rendered.text)].filter((word) => !written.has(word))).toEqual([]);
    }
    await accepted(file, rendered.text);
  });
});

/** Files of lines that begin with a word of the program's grammar. The others are parsed as a whole. */
const isWords = (file: string) => file.startsWith("haproxy") || file.startsWith("nginx");

const firstWords = (text: string) => new Set(text.split("\n").map((line) => line.trim().split(/[ ;]/)[0]));
