// What every store that tests run can do: end, come back at the same port, stand still, forget everything.
import { mkdirSync, rmSync } from "node:fs";
import { type ProcessSpec, type RunningProcess, startProcess } from "./process.ts";

/** A running server with a fixed port and data folder. */
export interface TestServer {
  /** Its data and log. */
  readonly dir: string;
  readonly logFile: string;
  /** The pid it has now. */
  pid(): number;
  isRunning(): boolean;
  /** Ends it properly and waits; `start` brings it back. Again: nothing. */
  stop(): Promise<void>;
  /** Ends it like a crash (SIGKILL) and waits. */
  kill(): Promise<void>;
  /** Starts it again at the same port with the data it has, and waits until it is ready. */
  start(): Promise<void>;
  /** `stop` (or `kill`, when asked so) and `start`. */
  restart(how?: "stop" | "kill"): Promise<void>;
  /** Comes back at the same port with all data gone, like a fresh one. */
  wipeAndRestart(): Promise<void>;
  /** Makes it stand still (SIGSTOP): connections stay open and nothing answers. */
  pause(): void;
  /** Lets it go on after `pause`. */
  resume(): void;
  logTail(lines?: number): string;
}

/** A process that can be started many times, and the folder that holds all it remembers. */
export interface ServerSpec extends ProcessSpec {
  readonly dir: string;
  readonly dataDir: string;
  /** Done before it is started again. */
  readonly beforeRestart?: () => Promise<void>;
}

/**
 * Starts a server and waits until it is ready.
 * @throws an error with the end of its log when it does not come up
 */
export async function startServer(spec: ServerSpec): Promise<TestServer> {
  mkdirSync(spec.dataDir, { recursive: true });
  let now: RunningProcess = await startProcess(spec);
  const server: TestServer = {
    dir: spec.dir,
    logFile: spec.logFile,
    pid: () => now.pid,
    isRunning: () => now.isRunning(),
    logTail: (lines) => now.logTail(lines),
    stop: async () => void (await now.stop()),
    kill: async () => {
      now.kill("SIGKILL");
      await now.exited;
    },
    start: async () => {
      if (now.isRunning()) return;
      await spec.beforeRestart?.();
      now = await startProcess(spec);
    },
    restart: async (how = "stop") => {
      await server[how]();
      await server.start();
    },
    wipeAndRestart: async () => {
      await server.kill();
      rmSync(spec.dataDir, { recursive: true, force: true });
      mkdirSync(spec.dataDir, { recursive: true });
      await server.start();
    },
    pause: () => now.kill("SIGSTOP"),
    resume: () => now.kill("SIGCONT"),
  };
  return server;
}
