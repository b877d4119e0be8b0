import { createRequire } from "node:module";
import { after, pause } from "./clock.ts";
import { coded, PortolanError } from "./errors.ts";
import type { Log } from "./log.ts";

// This file owns the process: signals, streams and exit codes. All else is loaded once signals are safe.

/** ms after a signal at which the process leaves, whatever is still in hand. */
const grace = 4500;

/** Beside `src` as well as beside `dist`. */
const manifest = createRequire(import.meta.url)("../package.json") as { readonly version: string };

const stopping = new AbortController();
const hurrying = new AbortController();
const reloads = new Set<() => void>();
/** A hang-up came while nobody listened yet: the configuration in use may be older than it. */
let missed = false;
/** Until the command is known, a hang-up must not end what may be a daemon. */
let daemon = true;
/** Set once a daemon runs. */
let running: Log | undefined;

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

try {
  // Whatever Node.js and its options allow: nobody who reads or changes what passes is to be spoken to.
  const { default: tls } = await import("node:tls");
  tls.DEFAULT_MIN_VERSION = "TLSv1.2";
  const { runCommandLine } = await import("./commands/command-line.ts");
  const code = await runCommandLine(process.argv.slice(2), {
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

/** An error that no command has caught. */
function fail(error: unknown): number {
  const { code, message } = coded("FAILED", error);
  const stack = error instanceof Error && !(error instanceof PortolanError) ? `\n${error.stack}` : "";
  process.stderr.write(`portolan: ${code}: ${message}${stack}\n`);
  return 1;
}
