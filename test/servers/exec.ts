// Short commands that must succeed.
import { spawn, spawnSync } from "node:child_process";

/** How a command is run: `input` goes to its standard input, `within` is its deadline in ms (default 60 s). */
export interface ExecOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly within?: number;
}

/**
 * Runs a command to its end and returns what it printed.
 * @throws an error with the command line, its exit code and its messages, when it fails or takes too long
 */
export function exec(command: string, args: readonly string[], options: ExecOptions = {}): Promise<string> {
  const { input, env, cwd, within = 60_000 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "pipe"],
      timeout: within,
      killSignal: "SIGKILL",
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.stdin.on("error", () => undefined); // a command need not read its input
    child.stdin.end(input);
    child.on("error", (cause) => reject(new Error(`${command}: cannot be run: ${cause.message}`, { cause })));
    child.on("close", (code, signal) => {
      const text = Buffer.concat(out).toString();
      if (code === 0) return resolve(text);
      const how = signal === null ? `ended with code ${code}` : `ended by ${signal} (it has ${within} ms)`;
      const said = `${Buffer.concat(err).toString()}${text}`.trim().slice(-2000);
      reject(new Error(`${command} ${args.join(" ")}: ${how}: ${said}`));
    });
  });
}

/** Like `exec`, for the moment a process ends: synchronous, and a failure is the value undefined. */
export function execNow(command: string, args: readonly string[], input?: string): string | undefined {
  const done = spawnSync(command, args, { input, encoding: "utf8", timeout: 10_000, stdio: "pipe" });
  return done.status === 0 ? done.stdout : undefined;
}
