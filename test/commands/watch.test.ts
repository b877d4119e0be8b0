import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Lease } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import { someInstance, someOwner } from "../backends/contract/suite.ts";
import { type Consul, startConsul } from "../servers/consul.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { type RunningHere, runHere, startHere } from "./run-here.ts";

const signal = new AbortController().signal;
const soon = { within: 20_000 };
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** An agent that keeps its services on disk, for a reload throws away all others. */
let consul: Consul;
beforeAll(async () => {
  consul = await startConsul({ persistent: true });
});
afterAll(() => consul?.stop());
const consulUrl = () => `consul://${consul.host}:${consul.port}`;

let counter = 0;

/** A Consul service of our own, and somebody who writes it. */
async function ownService() {
  counter += 1;
  const service = `watched-${process.pid}-${counter}`;
  const owner = someOwner({ node: `watch-${process.pid}-${counter}` });
  const idOf = (name: string) => `${owner.node}:${name}`;
  const backend = await openBackend(consulUrl(), { env: {} });
  const lease: Lease = backend.lease(owner, 15);
  await lease.renew(signal);
  closers.push(async () => {
    await lease.release(signal);
    await backend.close();
  });
  const put = (name: string, port: number) =>
    lease.register(someInstance(owner, { service, id: idOf(name), port }), signal);
  const remove = (name: string) => lease.deregister({ service, id: idOf(name) }, signal);
  return { service, put, remove };
}

/** A script that notes what it is given, one line a run: the ports in order. */
function notingScript() {
  const dir = tempDir("watch");
  const script = join(dir, "note.sh");
  writeFileSync(
    script,
    `#!/bin/sh\nports=$(tee ${dir}/input | grep -o '"port":[0-9]*' | cut -d: -f2 | tr '\\n' ' ')\necho "$PORTOLAN_SERVICE $ports" >> ${dir}/runs\n[ ! -e ${dir}/hang ] || sleep 600\n`,
    { mode: 0o755 },
  );
  const runs = () =>
    existsSync(join(dir, "runs"))
      ? readFileSync(join(dir, "runs"), "utf8")
          .trim()
          .split("\n")
          .map((line) => line.trim().split(" ").slice(1).join(","))
      : [];
  return { dir, script, runs };
}

function watching(argv: readonly string[], dir: string): RunningHere {
  const running = startHere(argv, dir, { PATH: process.env.PATH });
  closers.push(async () => {
    running.stop();
    await running.ended;
  });
  return running;
}

describe("portolan watch", () => {
  it("runs the command at the start and once per change, and at nothing else", async () => {
    const url = consulUrl();
    const { service, put, remove } = await ownService();
    const { dir, script, runs } = notingScript();
    await put("a", 8001);
    watching(["watch", service, url, "--", script], dir);
    await waitFor("the first run", () => runs().length === 1, soon);
    await put("b", 8002);
    await waitFor("the run for the new one", () => runs().length === 2, soon);
    const reload = await fetch(`${consul.url}/v1/agent/reload`, { method: "PUT" });
    expect(reload.status).toBe(200);
    await put("b", 8002);
    await remove("a");
    await waitFor("the run for the removal", () => runs().length === 3, soon);
    expect(runs()).toEqual(["8001", "8001,8002", "8002"]);
    const input: unknown = JSON.parse(readFileSync(join(dir, "input"), "utf8"));
    const records = await runHere(["services", service, "--json", url], dir);
    expect(input).toEqual(JSON.parse(records.stdout));
    expect(input).toMatchObject([{ service, port: 8002, state: "ready" }]);
  });

  it("leads to one more run with the latest when much changes during one, and ends it when it is stopped", async () => {
    const { service, put } = await ownService();
    const { dir, script, runs } = notingScript();
    writeFileSync(join(dir, "hang"), "");
    const running = startHere(["watch", service, consulUrl(), "--", script], dir, {
      PATH: process.env.PATH,
    });
    await waitFor("the first run", () => runs().length === 1, soon);
    for (const port of [8001, 8002, 8003]) await put("a", port);
    expect(runs()).toHaveLength(1);
    const began = performance.now();
    running.stop();
    expect((await running.ended).code).toBe(0);
    expect(performance.now() - began).toBeLessThan(4_500);
  });

  it("--once ends with the command's exit code", async () => {
    const { service, put } = await ownService();
    await put("a", 8001);
    const { dir } = notingScript();
    const argv = (code: string) => ["watch", service, consulUrl(), "--once", "--", "sh", "-c", code];
    const env = { PATH: process.env.PATH };
    expect((await runHere(argv("grep -q 8001"), dir, env)).code).toBe(0);
    const failed = await runHere(argv("exit 7"), dir, env);
    expect(failed.code).toBe(7);
    expect(failed.stderr).toContain("sh exited with code 7");
  });

  it("says what is missing", async () => {
    const url = consulUrl();
    const dir = tempDir("watch");
    const cases = [
      [["watch", url], "watch needs a service: portolan watch web -- ./notify.sh"],
      [["watch", "web", url], "what should be run? portolan watch web -- ./notify.sh"],
      [["watch", "web", "--", "true"], "no backend"],
    ] as const;
    for (const [argv, text] of cases) {
      const { code, stderr } = await runHere(argv, dir);
      expect(code).toBe(78);
      expect(stderr).toContain(text);
    }
    const missing = await runHere(["watch", "web", url, "--once", "--", "no-such-program"], dir);
    expect(missing).toMatchObject({ code: 127 });
    expect(missing.stderr).toContain(
      "no-such-program: no such program; install it, or give its absolute path",
    );
  });
});
