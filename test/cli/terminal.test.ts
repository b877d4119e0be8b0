// What people see on a terminal: a pseudo-terminal of script(1), which every Debian has.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { tempDir } from "../servers/run.ts";
import { waitFor } from "../servers/wait.ts";

const cli = join(import.meta.dirname, "../../dist/cli.js");

/** Starts the built executable, on a terminal of its own or on none. */
function start(argv: readonly string[], isTerminal: boolean) {
  const words = [process.execPath, cli, ...argv].map((word) => `'${word}'`).join(" ");
  // The shell's process becomes ours; script's own would leave it behind.
  const shell = `echo "pid $$"; exec ${words}`;
  const [program, args] = isTerminal ? ["script", ["-qec", shell, "/dev/null"]] : ["sh", ["-c", shell]];
  const { PATH } = process.env;
  const child = spawn(program, args, { env: { PATH, SHELL: "/bin/sh" }, stdio: ["ignore", "pipe", "pipe"] });
  let shown = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => {
      shown += chunk;
    });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const kill = (signal: NodeJS.Signals) => {
    const pid = Number(/pid (\d+)/.exec(shown)?.[1]);
    if (pid > 0 && child.exitCode === null) process.kill(pid, signal);
  };
  onTestFinished(() => kill("SIGKILL"));
  return { shown: () => shown, ended, end: () => kill("SIGTERM") };
}

it("the first sync is one line that is written over, on a terminal and beside a log for people only", async () => {
  const dir = tempDir("terminal");
  const registrator = (name: string, format: string) => [
    ...["registrator", "--docker", "unix:///nowhere/docker.sock", "--listen", "off", "--ip", "10.0.0.1"],
    ...["--state-dir", join(dir, name), "--log-format", format, `file://${join(dir, "registry")}`],
  ];
  const watched = start(registrator("watched", "pretty"), true);
  const others = [start(registrator("json", "json"), true), start(registrator("piped", "pretty"), false)];

  const line = String.raw`first sync: Docker at unix:///nowhere/docker\.sock.* \d+ s`;
  const again = new RegExp(`${line}\\r\\n\x1b\\[1A\x1b\\[2K${line}\\r\\n`);
  const patience = { within: 30_000 };
  await waitFor("the line, written over", () => again.test(watched.shown()), patience);
  const haveStarted = () => others.every(({ shown }) => shown().includes("registrator started"));
  await waitFor("the others' logs", haveStarted, patience);
  for (const each of [watched, ...others]) {
    each.end();
    expect(await each.ended).toBe(0);
  }

  // In the end nothing of it is left, and what is logged stands there.
  expect(watched.shown()).toMatch(/\x1b\[1A\x1b\[2K\x1b\[1A\r\n[^\n]*stopping\r\n$/);
  for (const { shown } of others) {
    expect(shown()).not.toContain("first sync");
    expect(shown()).not.toContain("\x1b[1A");
  }
});
