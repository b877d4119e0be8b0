import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { onTestFinished } from "vitest";

const cli = join(import.meta.dirname, "../../dist/cli.js");

/** A Portolan process: the built executable. */
export interface Process {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/**
 * Starts Portolan in `cwd` with no more of this process's environment than it needs; `program` is another built one. Ends
 * with the test.
 */
export function startProcess(
  argv: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv = {},
  program = cli,
): Process {
  const child = spawn(process.execPath, [program, ...argv], {
    cwd,
    env: { PATH: process.env.PATH, HOME: cwd, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  return {
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    ended: new Promise((resolve) => child.on("close", (code, signal) => resolve(signal ?? code ?? -1))),
  };
}
