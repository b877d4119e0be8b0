import { execFileSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { counters, timings } from "../../src/meter.ts";
import { type Program, startProgram } from "../e2e/program.ts";
import { dockerCli } from "../servers/docker.ts";
import { runWeb, type WebContainer } from "../servers/image.ts";
import { ensureInstalled } from "../servers/install.ts";
import { type Prometheus, startPrometheus } from "../servers/prometheus.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

const example = join(import.meta.dirname, "../../examples/monitoring");
const soon = { within: 20_000 };

let agent: Program;
let web: WebContainer;
let promtool: string;
let dir: string;
beforeAll(async () => {
  promtool = (await ensureInstalled(["prometheus"])).prometheus.promtool;
  dir = tempDir("monitoring");
  cpSync(example, dir, { recursive: true });
  const { socket } = inject("docker");
  web = await runWeb(dockerCli(inject("docker")), {
    name: "monitored",
    publish: ["80"],
    labels: { SERVICE_NAME: "monitored", "portolan.monitoring": "1" },
  });
  writeFileSync(join(dir, "all.hbs"), '{{#each (service "monitored")}}\n{{id}}\n{{/each}}\n');
  const file = join(dir, "portolan.yaml");
  const target = {
    source: join(dir, "all.hbs"),
    destination: join(dir, "all"),
    check: ["true"],
    reload: { command: ["true"] },
  };
  writeFileSync(file, JSON.stringify({ templater: { templates: [target] } }));
  agent = await startProgram("agent", [
    ...["-c", file, "--docker", `unix://${socket}`, "--node", "h1", "--ip", "10.0.0.1"],
    ...["--select", "portolan.monitoring=1", `file://${dir}/registry`],
  ]);
  await waitFor("the agent to be ready", async () => (await agent.notReady()) === "", soon);
});
afterAll(async () => {
  await agent?.stop();
  await web?.remove();
});

const scraped = async () => (await fetch(`${agent.url}/metrics`)).text();

describe("/metrics", () => {
  it("is what Prometheus' conventions ask for", async () => {
    const text = await scraped();
    const said = execFileSync(promtool, ["check", "metrics"], { input: text, encoding: "utf8" });
    expect(said).toBe("");
    for (const name of text.match(/^[a-z_]+/gm) ?? []) expect(name).toMatch(/^portolan_/);
    for (const name of Object.keys(counters)) expect(text).toContain(`# TYPE portolan_${name}_total counter`);
    for (const name of Object.keys(timings))
      expect(text).toContain(`# TYPE portolan_${name}_seconds histogram`);
  });

  it("is what the documentation says", async () => {
    const page = readFileSync(join(import.meta.dirname, "../../docs/status.md"), "utf8");
    const documented = [...page.matchAll(/`(portolan_[a-z_]+)`/g)].map(([, name]) => name);
    const served = [...(await scraped()).matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name);
    expect(documented.sort()).toEqual(served.sort());
  });

  it("names no service and no container", async () => {
    expect(await scraped()).not.toContain("monitored");
  });

  it("holds all that the dashboard and the alerts ask for", async () => {
    const text = await scraped();
    const asked = ["alerts.yml", "grafana-dashboard.json"]
      .map((file) => readFileSync(join(example, file), "utf8"))
      .flatMap((content) => content.match(/\bportolan_[a-z_]+/g) ?? [])
      .map((name) => name.replace(/_bucket$/, ""));
    expect(new Set(asked).size).toBeGreaterThan(20);
    expect([...new Set(asked)].filter((name) => !text.includes(`# TYPE ${name} `))).toEqual([]);
  });
});

describe("the alerts", () => {
  it.each([
    ["check", "rules", "alerts.yml"],
    ["test", "rules", "alerts.test.yml"],
  ])("promtool %s %s", (...args) => {
    expect(execFileSync(promtool, args, { cwd: dir, encoding: "utf8" })).toContain("SUCCESS");
  });
});

describe("Prometheus", () => {
  let prometheus: Prometheus | undefined;
  afterAll(() => prometheus?.stop());

  it("scrapes what has happened", async () => {
    const config = join(dir, "prometheus.yml");
    const own = readFileSync(config, "utf8")
      .replace(/targets: .*/, `targets: ["${new URL(agent.url).host}"]`)
      .replace("scrape_interval: 15s", "scrape_interval: 1s");
    writeFileSync(config, own);
    prometheus = await startPrometheus(config);
    const values = (expression: string) => prometheus?.query(expression);
    await waitFor("a scrape", async () => (await values("portolan_ready"))?.[""] === 1, soon);
    expect(await values("up")).toEqual({ "": 1 });
    expect(await values("portolan_docker_up")).toEqual({ "": 1 });
    expect(await values('portolan_wanted_instances{state="ready"}')).toEqual({ 'state="ready"': 1 });
    const backend = `backend="file://${dir}/registry"`;
    expect(await values('portolan_writes_total{operation="register"}')).toEqual({
      [`${backend},operation="register",result="done"`]: 1,
    });
    expect(Object.values((await values("portolan_registration_latency_seconds_count")) ?? {})).toEqual([1]);
    const target = `target="${join(dir, "all")}"`;
    expect((await values("portolan_checks_total"))?.[`result="passed",${target}`]).toBeGreaterThan(0);
    expect((await values("portolan_reloads_total"))?.[`result="accepted",${target}`]).toBeGreaterThan(0);
    expect((await values("portolan_apply_latency_seconds_count"))?.[target]).toBeGreaterThan(0);
  });

  it("counts a change that was rejected", async () => {
    writeFileSync(join(dir, "all.hbs"), "{{#each");
    const rejected = 'portolan_verdicts_total{verdict="rejected"}';
    await waitFor(
      "the verdict",
      async () => Object.values((await prometheus?.query(rejected)) ?? {})[0] === 1,
      soon,
    );
  });
});
