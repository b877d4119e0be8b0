import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import type { Backend, Lease } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import type { Instance } from "../../src/instance.ts";
import { someInstance, someOwner } from "../backends/contract/suite.ts";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { runHere } from "./run-here.ts";

const signal = new AbortController().signal;
const owner = someOwner({ node: "expecting" });
const url = () => `etcd://${inject("etcd").host}:${inject("etcd").port}/expect-${process.pid}`;
let backend: Backend;
let lease: Lease;

beforeAll(async () => {
  backend = await openBackend(url(), { env: {} });
  lease = backend.lease(owner, 60);
  await lease.renew(signal);
  const all: readonly Partial<Instance>[] = [
    { id: "web-1", service: "web" },
    { id: "web-2", service: "web", tags: ["blue"] },
    { id: "web-3", service: "web", state: "draining" },
    { id: "db-1", service: "db", role: "master", tags: ["master"] },
    { id: "db-2", service: "db", role: "slave", tags: ["slave"] },
  ];
  for (const one of all) await lease.register(someInstance(owner, { tags: [], ...one }), signal);
});
afterAll(async () => {
  await lease?.release(signal);
  await backend?.close();
});

/** Runs `portolan expect` on a file with this text. */
function expecting(text: string, more: readonly string[] = [], at = url()) {
  const dir = tempDir("expect");
  const file = join(dir, "counts.yaml");
  writeFileSync(file, text);
  return runHere(["expect", file, at, ...more], dir);
}

describe("portolan expect", () => {
  it.each([
    ["{ web: 2, db: 2 }", 0, "OK - 2 as expected | 'web'=2 'db'=2"],
    ["{ web: 1 }", 1, "WARNING - web: too many, 2 ready, expected 1 | 'web'=2"],
    ["{ web: 3 }", 2, "CRITICAL - web: too few, 2 ready, expected 3 | 'web'=2"],
    [
      "{ web: 1, db: 3 }",
      2,
      "CRITICAL - web: too many, 2 ready, expected 1; db: too few, 2 ready, expected 3",
    ],
    ["{ web: { min: 1 }, none: 0 }", 0, "OK - 2 as expected | 'web'=2 'none'=0"],
    ["{ web: { min: 3, max: 5 } }", 2, "CRITICAL - web: too few, 2 ready, expected 3 to 5"],
    ["{ web: { tag: blue, count: 1 } }", 0, "OK - 1 as expected | 'web tag=blue'=1"],
    [
      "{ db: [{ role: master, count: 1 }, { role: slave, min: 2 }] }",
      2,
      "CRITICAL - db role=slave: too few, 1 ready, expected 2 or more | 'db role=master'=1 'db role=slave'=1",
    ],
    ["{ nowhere: 1 }", 2, "CRITICAL - nowhere: too few, 0 ready, expected 1"],
  ])("%s: exit %d", async (services, code, line) => {
    const outcome = await expecting(`services: ${services}`);
    expect(outcome.stderr).toBe("");
    expect(outcome.stdout.split("\n")[0]).toContain(line);
    expect(outcome.code).toBe(code);
  });

  it("--json gives each count", async () => {
    const { stdout, code } = await expecting("services: { web: { min: 1 }, db: 3 }", ["--json"]);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toEqual([
      { service: "web", min: 1, live: 2, verdict: "equal" },
      { service: "db", min: 3, max: 3, live: 2, verdict: "too few" },
    ]);
  });

  it("ends with 3 while the backend is unknown, says so, and heals nothing", async () => {
    const dead = `etcd://127.0.0.1:${await freePort()}/x`;
    const ran = join(tempDir("expect"), "ran");
    const heal = ["--heal", "--apply", "--confirmations", "1", "--", "touch", ran];
    const { stdout, code } = await expecting("services: { web: 2 }", heal, dead);
    expect(code).toBe(3);
    expect(stdout).toMatch(/^UNKNOWN - etcd:/);
    expect(existsSync(ran)).toBe(false);
  });

  it.each([
    ["services: { web: -1 }", "services.web"],
    ["services: { web: { min: 3, max: 1 } }", "services.web"],
    ["services: { web: {} }", "services.web"],
    ["services: { web: { count: 1, state: ready } }", "services.web"],
    ["services: { web: { mn: 1 } }", "services.web: unknown key mn; the nearest known one is min"],
    ["servces: { web: 1 }", "unknown key servces; the nearest known one is services"],
    ["web: 1", "services: it is not a mapping of services to numbers"],
    ["services: [web", "counts.yaml: "],
  ])("%s: exit 78, and the place", async (text, place) => {
    const { stderr, code, stdout } = await expecting(text);
    expect(code).toBe(78);
    expect(stdout).toBe("");
    expect(stderr).toContain("portolan: CONFIG: ");
    expect(stderr).toContain(place);
  });

  it("says that the file is missing", async () => {
    const dir = tempDir("expect");
    const missing = await runHere(["expect", join(dir, "none.yaml"), url()], dir);
    expect(missing).toMatchObject({ code: 78, stderr: expect.stringContaining("there is no such file") });
    const none = await runHere(["expect", url()], dir);
    expect(none).toMatchObject({ code: 78, stderr: expect.stringContaining("expect needs a file") });
  });
});
