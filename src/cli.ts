import manifest from "../package.json" with { type: "json" };
import { after, pause } from "./clock.ts";
import { loadCompiled } from "./compiled.ts";
import type { Log } from "./log.ts";

// This file owns the process: signals, streams and exit codes. All else is loaded once signals are safe.

/** ms after a signal at which the process leaves, whatever is still in hand. */
const grace = 4500;

const stopping = new AbortController();
const hurrying = new AbortController();
const reloads = new Set<() => void>();
/** A hang-up came while nobody listened yet: the configuration in use may be older than it. */
let missed = false;
/** Until the command is known, a hang-up must not end what may be a daemon. */
let daemon = true;
/** Set once a daemon runs. */
let running: Log | undefined;
/** Set once it is loaded. */
let program: typeof import("./program.ts") | undefined;

let cancelLeave = () => {};
/** The process was given longer than the grace. */
let lingering = false;
const leaveIn = (ms: number) => {
  cancelLeave();
  cancelLeave = after(ms, () => {
    const text = `what was in hand did not end within ${ms / 1000} s and was left`;
    if (running) running.error({}, text);
    else process.stderr.write(`portolan: ${text}\n`);
    process.exit(1);
  });
};
const stop = () => {
  if (!stopping.signal.aborted) {
    stopping.abort();
    leaveIn(grace);
  } else if (!hurrying.signal.aborted) {
    hurrying.abort();
    if (lingering) leaveIn(grace);
  }
};
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
// A terminal that closes ends a one-shot command; for a daemon the signal means: read everything again.
process.on("SIGHUP", () => {
  if (!daemon) stop();
  missed ||= reloads.size === 0;
  for (const reload of reloads) reload();
});

// Nobody reads any more, e.g. `portolan services | head`: a daemon goes on without output.
process.stdout.on("error", () => {
  if (!daemon) process.exit(0);
});
process.stderr.on("error", () => {});

// No outage and no mistake of ours ends a daemon that runs.
const unforeseen = (err: unknown) => {
  if (running) running.error({ err }, "unforeseen error; going on");
  else process.exit(fail(err));
};
process.on("uncaughtException", unforeseen);
process.on("unhandledRejection", unforeseen);

// What a command waits for does not always keep the process alive; it ends by `process.exit` alone.
const live = async () => {
  for (;;) await pause(3_600_000);
};
void live();

void main();

async function main(): Promise<void> {
  try {
    program = loadCompiled("program.cjs") as typeof import("./program.ts");
    const code = await program.runCommandLine(process.argv.slice(2), {
      version: manifest.version,
      env: process.env,
      cwd: process.cwd(),
      terminal: process.stderr.isTTY === true,
      print: (text) => void process.stdout.write(text),
      say: (line) => void process.stderr.write(`${line}\n`),
      stop: stopping.signal,
      hurry: hurrying.signal,
      linger: (ms) => {
        if (hurrying.signal.aborted) return;
        lingering = true;
        leaveIn(ms + grace);
      },
      onReload: (listener) => {
        reloads.add(listener);
        if (missed) listener();
      },
      knows: (isDaemon) => {
        daemon = isDaemon;
      },
      started: (log) => {
        running = log;
      },
    });
    process.exit(code);
  } catch (error) {
    process.exit(fail(error));
  }
}

/** An error that no command has caught, or one that kept the program from being loaded. */
function fail(error: unknown): number {
  const stack = error instanceof Error ? error.stack : error;
  process.stderr.write(program?.failureText(error) ?? `portolan: FAILED: it cannot be loaded: ${stack}\n`);
  return 1;
}
