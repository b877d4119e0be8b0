import { execFile } from "node:child_process";
import { join } from "node:path";
import { freePort } from "../servers/ports.ts";
import { tempDir } from "../servers/run.ts";
import { startServer, type TestServer } from "../servers/server.ts";

const cli = join(import.meta.dirname, "../../dist/cli.js");

/** A running `portolan registrator`, `templater` or `agent`: the built executable, as a user runs it. */
export interface Program extends TestServer {
  /** Its status address. */
  readonly url: string;
  /** What `/readyz` says: an empty string when it is in sync, else the reasons. */
  notReady(): Promise<string>;
  status(): Promise<unknown>;
}

/** Starts a long-running command and waits until it answers on its status address, not until it is ready. */
export async function startProgram(
  command: "registrator" | "templater" | "agent",
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Program> {
  const dir = tempDir(command);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = await startServer({
    name: `portolan ${command}`,
    command: process.execPath,
    args: [
      cli,
      command,
      ...["--listen", `127.0.0.1:${port}`],
      ...["--state-dir", join(dir, "data", "state")],
      ...["--log-format", "json", "--log-level", "debug"],
      ...args,
    ],
    env,
    dir,
    dataDir: join(dir, "data"),
    logFile: join(dir, "log"),
    ready: async () => (await fetch(`${url}/healthz`)).ok,
    whenOrphaned: "SIGKILL",
  });
  return {
    ...server,
    url,
    notReady: async () => {
      const answer = await fetch(`${url}/readyz`);
      return answer.ok ? "" : await answer.text();
    },
    status: async () => (await fetch(`${url}/status`)).json(),
  };
}

/** What a command printed, and how it ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a one-shot command to its end. */
export function portolan(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [cli, ...args],
      { env: { ...process.env, ...env }, timeout: 60_000 },
      (error, stdout, stderr) =>
        resolve({
          code: error === null ? 0 : typeof error.code === "number" ? error.code : -1,
          stdout,
          stderr,
        }),
    );
  });
}
