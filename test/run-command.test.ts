import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { type Command, failureOf, type RunOptions, runCommand } from "../src/run-command.ts";
import { listProcesses } from "./servers/proc.ts";
import { tempDir } from "./servers/run.ts";
import { waitFor } from "./servers/wait.ts";

const never = new AbortController().signal;
const run = (command: Command, options: Partial<RunOptions> = {}) =>
  runCommand(command, { timeout: 30_000, env: process.env, signal: never, ...options });

/** The sleeps that this file starts: their whole command line is known, and is nobody else's. */
const seconds = String(70_000_000 + Math.floor(Math.random() * 10_000_000));
const sleep = `sleep ${seconds}`;
const sleeping = () =>
  listProcesses().filter(({ command, isZombie }) => command === `sleep\0${seconds}\0` && !isZombie);

afterEach(() => {
  for (const { pid } of sleeping()) process.kill(pid, "SIGKILL");
});

/** The promise's value, and the ms that it took. */
async function timed<T>(work: Promise<T>): Promise<readonly [T, number]> {
  const start = performance.now();
  return [await work, performance.now() - start];
}

describe("runCommand", () => {
  it("runs argv without a shell, and a shell command with one", async () => {
    expect(await run({ argv: ["echo", "$HOME", "a  b", "*"] })).toEqual({
      code: 0,
      signal: null,
      output: "$HOME a  b *\n",
      timedOut: false,
    });
    expect(await run({ shell: "echo one; echo two >&2; exit 3" })).toMatchObject({
      code: 3,
      output: "one\ntwo\n",
    });
    expect(await run({ shell: "kill -9 $$" })).toMatchObject({
      code: null,
      signal: "SIGKILL",
      timedOut: false,
    });
  });

  it("gives the command the variables it was given and no others", async () => {
    const { output } = await run({ argv: ["/usr/bin/env"] }, { env: { A: "1", B: undefined } });
    expect(output).toBe("A=1\n");
  });

  it("gives it an empty standard input", async () => {
    expect(await run({ argv: ["cat"] })).toMatchObject({ code: 0, output: "" });
  });

  it("keeps the last 64 KiB of the output", async () => {
    const { output } = await run({ shell: "seq 1 200000; echo end >&2" });
    expect(output).toHaveLength(64 * 1024);
    expect(output).toMatch(/199999\n200000\n(end\n)?$/);
  });

  it("is its own process group", async () => {
    const { output } = await run({ shell: "ps -o pgid= -p $$; echo $$" });
    const [group, pid] = output.trim().split(/\s+/);
    expect(group).toBe(pid);
  });

  it.each([
    [
      "no-such-program",
      { code: 127, output: "no-such-program: no such program; install it, or give its absolute path" },
    ],
    ["/no/such/program", { code: 127 }],
    ["", { code: 126 }],
    ["nul\0byte", { code: 126 }],
  ])("says of %j that it cannot be run", async (program, expected) => {
    expect(await run({ argv: [program] })).toMatchObject({ signal: null, timedOut: false, ...expected });
  });

  it("says that of a file that is no program", async () => {
    const file = join(tempDir("run"), "file");
    writeFileSync(file, "text", { mode: 0o644 });
    expect(await run({ argv: [file] })).toMatchObject({
      code: 126,
      output: `${file}: cannot be run: spawn ${file} EACCES`,
    });
  });

  it("says that too when a variable is too long", async () => {
    const env = { ...process.env, LONG: "x".repeat(200_000) };
    expect(await run({ argv: ["true"] }, { env })).toMatchObject({
      code: 126,
      output: expect.stringContaining("E2BIG"),
    });
  });

  it("T8: ends a group that ignores SIGTERM within timeout + 2 s, grandchild and pipe included", async () => {
    const shell = `trap '' TERM; (${sleep} & ${sleep}) & echo hanging; ${sleep}`;
    const [ended, took] = await timed(run({ shell }, { timeout: 300 }));
    expect(ended).toEqual({ code: null, signal: "SIGKILL", output: "hanging\n", timedOut: true });
    expect(took).toBeGreaterThan(2_200);
    expect(took).toBeLessThan(23_000);
    await waitFor("the end of its group", () => sleeping().length === 0, {
      within: 10_000,
    });
  });

  it("needs no SIGKILL for one that ends at SIGTERM, and does not call its code 0 a success", async () => {
    const shell = `trap 'echo bye; exit 0' TERM; ${sleep} & wait`;
    const [ended, took] = await timed(run({ shell }, { timeout: 300 }));
    expect(ended).toEqual({ code: 0, signal: null, output: "bye\n", timedOut: true });
    expect(took).toBeLessThan(2_000);
    expect(failureOf({ shell: "x" }, ended, 300)).toContain("did not end within 0.3 s");
    await waitFor("the end of its group", () => sleeping().length === 0, {
      within: 10_000,
    });
  });

  it("does not wait for one that left the group and holds the pipe", async () => {
    const [ended, took] = await timed(run({ shell: `setsid ${sleep} & ${sleep}` }, { timeout: 300 }));
    expect(ended).toMatchObject({ signal: "SIGTERM", timedOut: true });
    expect(took).toBeLessThan(23_000);
    const [quick, short] = await timed(run({ shell: `setsid ${sleep} & echo done` }));
    expect(quick).toMatchObject({ code: 0, output: "done\n" });
    expect(short).toBeLessThan(5_000);
  });

  it("takes along what a command leaves in its group, unless it may stay", async () => {
    expect(await run({ shell: `${sleep} & echo done` })).toMatchObject({ code: 0, output: "done\n" });
    await waitFor("its end", () => sleeping().length === 0, { within: 10_000 });

    const log = join(tempDir("run"), "log");
    const background = `(sleep 3; echo late; echo written > ${log}; ${sleep}) & echo done`;
    const [ended, took] = await timed(run({ shell: background }, { background: "stays" }));
    expect(ended).toMatchObject({ code: 0, output: "done\n" });
    expect(took).toBeLessThan(2_700);
    await waitFor("it to write to its pipe and go on", () => readFileSync(log, "utf8"), { within: 10_000 });
    expect(sleeping().length).toBeGreaterThan(0);
  });

  it("ends the group when the signal aborts", async () => {
    const stop = new AbortController();
    const running = run({ shell: `${sleep} & ${sleep}` }, { signal: stop.signal });
    await waitFor("it to run", () => sleeping().length > 1, { within: 10_000 });
    stop.abort();
    expect(await running).toMatchObject({ code: null, signal: "SIGTERM", timedOut: false });
    expect(await run({ shell: sleep }, { signal: stop.signal })).toMatchObject({ signal: "SIGTERM" });
  });

  it("leaves no zombies, pipes or listeners", async () => {
    const descriptors = () => readdirSync("/proc/self/fd").length;
    await run({ argv: ["true"] });
    const before = descriptors();
    for (let i = 0; i < 50; i++) await run({ argv: [i % 2 ? "true" : "no-such-program"] });
    expect(descriptors()).toBeLessThanOrEqual(before + 2);
    expect(listProcesses().filter(({ parent, isZombie }) => parent === process.pid && isZombie)).toEqual([]);
  });
});

describe("failureOf", () => {
  const ended = { code: 1, signal: null, output: " why\n", timedOut: false };
  it.each([
    [{ argv: ["a b", "-c"] }, ended, '`"a b" -c` exited with code 1:\nwhy'],
    [{ shell: "x | y" }, { ...ended, output: "" }, "`x | y` exited with code 1 and printed nothing"],
    [{ argv: ["x"] }, { ...ended, code: null, signal: "SIGSEGV" }, "`x` was ended by SIGSEGV:\nwhy"],
    [{ argv: ["x"] }, { ...ended, code: 0 }, undefined],
  ] as const)("says of %j %j: %j", (command, how, expected) => {
    expect(failureOf(command, how, 1_000)).toBe(expected);
  });
});
