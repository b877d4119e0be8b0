// An example as `npm run` runs it, without the preparation that has happened.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { listProcesses } from "./servers/proc.ts";
import { stateFolder } from "./servers/run.ts";

/** What a run came to. */
export interface Run {
  readonly pid: number;
  readonly code: number | null;
  readonly output: string;
}

/** How an example is run: `enter` is the prefix of its command line, `interruptAt` a text at which it gets SIGINT. */
export interface RunOptions {
  readonly enter?: readonly string[];
  readonly dockerHost?: string;
  readonly interruptAt?: string;
}

/** Runs `examples/SCRIPT ARGS` to its end. */
export function runExample(
  name: string,
  args: readonly string[],
  { enter = [], dockerHost, interruptAt }: RunOptions = {},
): Promise<Run> {
  const root = join(import.meta.dirname, "..");
  const script = join(root, "examples", name);
  const [command = "", ...rest] = [...enter, process.execPath, "--import", "tsx", script, ...args];
  const { DOCKER_HOST: _, ...env } = process.env;
  const child = spawn(command, rest, {
    cwd: root,
    env: { ...env, ...(dockerHost !== undefined && { DOCKER_HOST: dockerHost }) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      const before = output;
      output += text;
      if (interruptAt && output.includes(interruptAt) && !before.includes(interruptAt)) child.kill("SIGINT");
    });
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ pid: child.pid ?? 0, code, output }));
  });
}

/** Files and processes that a run has left behind. */
export function leftBy({ pid }: Run): readonly string[] {
  const files = (["tmp", "processes"] as const).flatMap((folder) =>
    readdirSync(stateFolder(folder)).filter((name) => name.startsWith(`${pid}-`)),
  );
  const commands = listProcesses().filter(({ command }) => command.includes(`/${pid}-`));
  return [...files, ...commands.map(({ command }) => command.replaceAll("\0", " "))];
}
