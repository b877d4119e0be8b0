import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import type { Backend } from "../../src/backends/backend.ts";
import { openBackend } from "../../src/backends/index.ts";
import { heal } from "../../src/commands/heal.ts";
import type { Settings } from "../../src/config/settings.ts";
import { PortolanError } from "../../src/errors.ts";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";
import { runHere, startHere } from "./run-here.ts";

const signal = new AbortController().signal;
const soon = { within: 30_000 };
const url = () => `etcd://${inject("etcd").host}:${inject("etcd").port}/heal-${process.pid}`;
let backend: Backend;
beforeAll(async () => {
  backend = await openBackend(url(), { env: {} });
});
afterAll(() => backend?.close());

let dir: string;
let check: string;
beforeEach(() => {
  dir = tempDir("heal");
  check = `${dir.split("/").at(-1)}.yaml`;
  writeFileSync(join(dir, check), "services: { web: 1, db: 0 }");
});

/** A command that notes its context and its input, a line a run. */
const note = ["sh", "-c", 'echo "$PORTOLAN_SERVICE, $PORTOLAN_VERDICT: $(cat)" >> runs'];
const runs = () =>
  existsSync(join(dir, "runs")) ? readFileSync(join(dir, "runs"), "utf8").trim().split("\n") : [];
const line = (words: string, command: readonly string[]) => [
  "expect",
  join(dir, check),
  url(),
  ...words.split(" ").filter(Boolean),
  "--",
  // A command runs where its check does: these tests share one process.
  "env",
  `--chdir=${dir}`,
  ...command,
];
const env = { PATH: process.env.PATH };
const healing = (words: string, command: readonly string[] = note) =>
  runHere(line(`--heal ${words}`, command), dir, env);
const notes = async () => (await backend.notes?.("heal").list(signal))?.get(check);
const ago = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

describe("portolan expect --heal", () => {
  it("runs nothing and writes nothing without --apply, and says what it would do", async () => {
    const { code, stdout } = await healing("--confirmations 1");
    expect(code).toBe(2);
    expect(stdout).toContain("CRITICAL - web: too few, 0 ready, expected 1");
    expect(stdout).toMatch(/^heal: without --apply nothing is run; env .* would be$/m);
    const early = await healing("");
    expect(early.stdout).toMatch(/^heal: without --apply .* would not be: confirmed 1 of 3 times$/m);
    expect(runs()).toEqual([]);
    expect(await notes()).toBeUndefined();
  });

  it("runs the command when it is confirmed, with the counts, and not again before its cooldown", async () => {
    for (const count of [1, 2]) {
      const { code, stdout } = await healing("--apply");
      expect(code).toBe(2);
      expect(stdout).toMatch(new RegExp(`^heal: env .* is not run: confirmed ${count} of 3 times$`, "m"));
    }
    const third = await healing("--apply --json");
    expect(third).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^portolan: heal: env .* has run$/m),
    });
    expect(runs()).toEqual([`web, too few: ${third.stdout.trim()}`]);
    expect(JSON.parse(third.stdout)).toMatchObject([
      { service: "web", live: 0 },
      { service: "db", live: 0 },
    ]);
    const { stdout } = await healing("--apply --confirmations 1");
    expect(stdout).toMatch(/is not run: it ran at 20.*Z, and --cooldown is 600 s$/m);
    expect(runs()).toHaveLength(1);
  });

  it("runs it no more than so often within an hour, whichever host did", async () => {
    const memory = { expected: "", looks: {}, runs: [ago(50), ago(40), ago(30)] };
    await backend.notes?.("heal").put(check, JSON.stringify(memory), signal);
    const { stdout } = await healing("--apply --confirmations 1");
    expect(stdout).toContain("it ran 3 times within an hour, and --max-per-hour is 3");
    expect(runs()).toEqual([]);
    expect((await healing("--apply --confirmations 1 --max-per-hour 4")).stdout).toContain("has run");
    expect(runs()).toHaveLength(1);
  });

  it("forgets what was confirmed when all is as expected", async () => {
    await healing("--apply");
    expect(await notes()).toContain('"count":1');
    writeFileSync(join(dir, check), "services: { web: 0 }");
    const { code, stdout } = await healing("--apply");
    expect(code).toBe(0);
    expect(stdout).not.toContain("heal:");
    expect(await notes()).toBeUndefined();
  });

  it("runs one at a time, and keeps the lock while that runs", async () => {
    const slow = ["sh", "-c", "echo ran >> runs; until [ -e go ]; do sleep 0.05; done"];
    const words = "--heal --apply --confirmations 1 --cooldown 0s --timeout 60s";
    const first = startHere(line(words, slow), dir, env);
    await waitFor("the command", () => runs().length === 1, soon);
    const second = await runHere(line(words, slow), dir, env);
    expect(second.stdout).toMatch(/^heal: nothing is run: .* is at it$/m);
    writeFileSync(join(dir, "go"), "");
    expect((await first.ended).stdout).toContain("has run");
    expect((await runHere(line(words, slow), dir, env)).stdout).toContain("has run");
    expect(runs()).toHaveLength(2);
  });

  it("ends a command that hangs, and says what it printed", async () => {
    const hangs = ["sh", "-c", "echo no such host; exec sleep 600"];
    const { code, stdout } = await healing("--apply --confirmations 1 --timeout 500ms", hangs);
    expect(code).toBe(2);
    expect(stdout).toMatch(/did not end within 0.5 s and was ended:\nno such host$/m);
  });

  it("runs nothing where the backend counts, and then refuses or is away", async () => {
    const refusal = new PortolanError("BACKEND_DENIED", "no right to write heal/");
    const refusing: Backend = {
      ...backend,
      notes: (area) => ({
        ...(backend.notes as NonNullable<Backend["notes"]>)(area),
        put: async () => Promise.reject(refusal),
      }),
    };
    const settings = {
      values: { apply: true, confirmations: 1, cooldown: 0, maxPerHour: 9 },
      commandLine: ["touch", join(dir, "runs")],
    };
    const counts = [{ expected: { service: "web", min: 1, max: 1 }, live: 0, verdict: "too few" as const }];
    const asked = { settings: settings as unknown as Settings, env, stop: signal };
    const found = { file: check, counts, json: "[]" };
    expect(await heal(refusing, found, asked)).toBe(
      "nothing is run: BACKEND_DENIED: no right to write heal/",
    );
    expect(runs()).toEqual([]);
  });

  it("needs a command, and --heal for one", async () => {
    const without = await runHere(["expect", join(dir, check), url(), "--heal"], dir);
    expect(without).toMatchObject({ code: 78, stderr: expect.stringContaining("--heal needs a command") });
    const silent = await runHere(line("", note), dir);
    expect(silent).toMatchObject({ code: 78, stderr: expect.stringContaining("with --heal only") });
  });
});
