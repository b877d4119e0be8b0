import { type ChildProcess, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { after } from "./clock.ts";

/** A program to run. `argv` runs without a shell; `shell` is handed to `/bin/sh -c`. */
export type Command = { readonly argv: readonly string[] } | { readonly shell: string };

/** Variables for a command; they are all that it gets. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** How a command is run. */
export interface RunOptions {
  /** ms after which the command is ended together with its process group. */
  readonly timeout: number;
  readonly env: Environment;
  /** Ends the command like the timeout does. */
  readonly signal: AbortSignal;
  /**
   * What becomes of processes that the command leaves in its group when it ends by itself. They go with it,
   * unless "stays": a reload may start the proxy in the background.
   */
  readonly background?: "stays";
  /** Text for its standard input, which is empty otherwise. */
  readonly input?: string;
  /** It writes to this process's own output and errors, and `Ended.output` stays empty. */
  readonly shown?: boolean;
}

/** How a command ended. */
export interface Ended {
  /** 127 when there is no such program and 126 when it cannot be run, as a shell has it. */
  readonly code: number | null;
  readonly signal: string | null;
  /** What it wrote to stdout and stderr, in the order of arrival; the last 64 KiB. */
  readonly output: string;
  readonly timedOut: boolean;
}

/** ms between SIGTERM and SIGKILL. */
const patience = 2_000;
/** ms for the rest of the output, when another process holds the pipe after the command's end. */
const drain = 200;
const outputLimit = 64 * 1024;

/**
 * Runs a command in its own process group, without a shell unless it is a `shell` command; never rejects. At
 * the timeout, or when `signal` aborts, the group gets SIGTERM and two seconds later SIGKILL; whoever else
 * holds the pipe is not waited for.
 */
export function runCommand(command: Command, options: RunOptions): Promise<Ended> {
  const [program = "", ...args] = argvOf(command);
  return new Promise((resolve) => {
    let child: ChildProcess;
    try {
      const { env, input, shown } = options;
      const out = shown ? "inherit" : "pipe";
      child = spawn(program, args, {
        detached: true,
        env,
        stdio: [input === undefined ? "ignore" : "pipe", out, out],
      });
    } catch (error) {
      // Such as an argument or a variable that is longer than the kernel takes.
      return resolve(notRun(program, error));
    }
    child.once("error", (error) => resolve(notRun(program, error)));
    const { pid } = child;
    if (pid === undefined) return;
    // A command that does not read its input to the end is no failure.
    child.stdin?.on("error", () => {});
    child.stdin?.end(options.input);
    const output = createTail();
    const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
    const cancels: (() => void)[] = [];
    let exit: Pick<Ended, "code" | "signal"> = { code: null, signal: null };
    let cut: "timeout" | "abort" | undefined;

    const disarm = () => {
      for (const cancel of cancels.splice(0)) cancel();
    };
    const settle = () => {
      disarm();
      if (cut || options.background !== "stays") signalGroup(pid, "SIGKILL");
      for (const stream of streams) release(stream, options.background === "stays" && !cut);
      resolve({ ...exit, output: output.text(), timedOut: cut === "timeout" });
    };
    const end = (why: "timeout" | "abort") => {
      disarm();
      cut = why;
      signalGroup(pid, "SIGTERM");
      const kill = () => {
        signalGroup(pid, "SIGKILL");
        cancels.push(after(drain, settle));
      };
      cancels.push(after(patience, kill));
    };
    const aborted = () => end("abort");

    for (const stream of streams) stream.on("data", output.add);
    child.once("exit", (code, signal) => {
      exit = { code, signal };
      if (cut) return; // others of the group have their two seconds
      disarm();
      if (options.background !== "stays") signalGroup(pid, "SIGKILL");
      cancels.push(after(drain, settle));
    });
    child.once("close", settle);
    cancels.push(after(options.timeout, () => end("timeout")));
    options.signal.addEventListener("abort", aborted, { once: true });
    cancels.push(() => options.signal.removeEventListener("abort", aborted));
    if (options.signal.aborted) aborted();
  });
}

/**
 * Says in words how a command failed, followed by the end of what it printed; undefined when it succeeded.
 * Ask whether it was aborted first: a command may end with 0 because of that.
 */
export function failureOf(command: Command, ended: Ended, timeout: number): string | undefined {
  if (ended.code === 0 && !ended.timedOut) return undefined;
  const how = ended.timedOut
    ? `did not end within ${timeout / 1000} s and was ended`
    : ended.signal === null
      ? `exited with code ${ended.code}`
      : `was ended by ${ended.signal}`;
  const output = ended.output.trim();
  return `\`${commandText(command)}\` ${how}${output === "" ? " and printed nothing" : `:\n${output.slice(-8192)}`}`;
}

function argvOf(command: Command): readonly string[] {
  return "shell" in command ? ["/bin/sh", "-c", command.shell] : command.argv;
}

/** A command as one would type it, for messages. */
export function commandText(command: Command): string {
  if ("shell" in command) return command.shell;
  return command.argv.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word))).join(" ");
}

/** Keeps the last 64 KiB of what is added. */
function createTail() {
  const chunks: Buffer[] = [];
  let length = 0;
  return {
    add(chunk: Buffer) {
      chunks.push(chunk);
      length += chunk.length;
      while (length - (chunks[0]?.length ?? 0) >= outputLimit) length -= chunks.shift()?.length ?? 0;
    },
    text: () => Buffer.concat(chunks).subarray(-outputLimit).toString(),
  };
}

/** Lets go of a pipe. A background process that still writes to it is read on, so that it does not break. */
function release(stream: Readable, readOn: boolean): void {
  stream.removeAllListeners("data");
  if (!readOn) return void stream.destroy();
  stream.resume();
  if ("unref" in stream && typeof stream.unref === "function") stream.unref();
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // Nobody is left.
  }
}

function notRun(program: string, error: unknown): Ended {
  const reason = error instanceof Error ? error.message : String(error);
  const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
  return {
    code: missing ? 127 : 126,
    signal: null,
    output: missing
      ? `${program}: no such program; install it, or give its absolute path`
      : `${program}: cannot be run: ${reason}`,
    timedOut: false,
  };
}
