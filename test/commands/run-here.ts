import { onTestFinished } from "vitest";
import { type Host, runCommandLine } from "../../src/commands/command-line.ts";

/** What became of a command line. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs in this process. */
export interface RunningHere {
  readonly ended: Promise<Outcome>;
  stdout(): string;
  /** As SIGTERM does. */
  stop(): void;
}

/** Starts a command line in this process, without its signals and streams; as on a terminal if that is said. */
export function startHere(
  argv: readonly string[],
  cwd: string,
  env: Host["env"] = {},
  terminal = false,
): RunningHere {
  let stdout = "";
  let stderr = "";
  const stopping = new AbortController();
  const code = runCommandLine(argv, {
    version: "1.2.3",
    env,
    cwd,
    terminal,
    print: (text) => {
      stdout += text;
    },
    say: (line) => {
      stderr += `${line}\n`;
    },
    stop: stopping.signal,
    hurry: new AbortController().signal,
    linger: () => {},
    onReload: () => {},
    knows: () => {},
    started: () => {},
  });
  return {
    ended: code.then((exit) => ({ code: exit, stdout, stderr })),
    stdout: () => stdout,
    stop: () => stopping.abort(),
  };
}

/** Runs a command line in this process to its end. */
export function runHere(...started: Parameters<typeof startHere>): Promise<Outcome> {
  return startHere(...started).ended;
}

/** Starts the templater that a folder's `portolan.yaml` describes. It ends with the test, or when it is told to. */
export function templaterHere(dir: string): () => Promise<void> {
  const templater = startHere(["templater", "--listen", "off"], dir, process.env);
  const stop = async () => {
    templater.stop();
    await templater.ended;
  };
  onTestFinished(stop);
  return stop;
}
