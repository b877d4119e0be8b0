import { existsSync, readFileSync } from "node:fs";
import { Agent } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { get } from "../servers/http.ts";
import { freePort } from "../servers/ports.ts";
import { startProcess } from "../servers/process.ts";
import { tempDir } from "../servers/run.ts";
import type { FloorOptions } from "./floor/settings.ts";

/** A program whose start was timed, and whose size is known. */
export interface Measured {
  /** ms from its start until it was ready. */
  readonly startMs: number;
  /** Resident memory now, in MB. */
  rss(): number;
  /** ms of processor time that it has used. */
  cpu(): number;
  /** Makes it stand still, so that it takes no time from another. */
  pause(): void;
  resume(): void;
  logTail(): string;
  stop(): Promise<void>;
}

/** Starts `portolan COMMAND ARGS` and waits until `/readyz` says 200. */
export async function startProduct(
  cli: string,
  command: "registrator" | "templater" | "agent",
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Measured> {
  const port = await freePort();
  const state = join(tempDir("bench-state"), "state");
  const fixed = ["--listen", `127.0.0.1:${port}`, "--state-dir", state, "--log-format", "json"];
  // To accept one connection after the other would take more of its time.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const isReady = () => get(`http://127.0.0.1:${port}/readyz`, { agent }).then(() => true);
  return start(`portolan ${command}`, [cli, command, ...fixed, ...args], isReady, env).finally(() =>
    agent.destroy(),
  );
}

/** Starts a bare program and waits until it says that it works. */
export function startFloor(
  main: string,
  program: "registrator" | "templater" | "agent",
  options: Partial<FloorOptions>,
): Promise<Measured> {
  const ready = join(tempDir("bench-floor"), "ready");
  const args = [main, program, JSON.stringify({ ...options, ready })];
  return start(`floor ${program}`, args, async () => existsSync(ready));
}

/** ms between two questions whether a program is ready: each of them takes some of its time. */
const askEvery = 10;

/** ms that a program may take to become ready, with many containers on a busy machine. */
const patience = 55_000;

async function start(
  name: string,
  args: readonly string[],
  isReady: () => Promise<boolean>,
  env: Readonly<Record<string, string>> = {},
): Promise<Measured> {
  const begun = performance.now();
  let startMs = 0;
  const running = await startProcess({
    name,
    command: process.execPath,
    args,
    env,
    logFile: join(tempDir("bench-log"), "log"),
    readyWithin: patience + 5_000,
    ready: async () => {
      while (!(await isReady().catch(() => false))) {
        if (performance.now() - begun > patience) return false;
        await sleep(askEvery);
      }
      startMs = performance.now() - begun;
      return true;
    },
  });
  const { pid } = running;
  return {
    startMs,
    rss: () => Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) / 1024,
    cpu() {
      const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      // utime and stime, in ticks of 10 ms on every Linux that Node runs on.
      return (Number(fields[11]) + Number(fields[12])) * 10;
    },
    pause: () => running.kill("SIGSTOP"),
    resume: () => running.kill("SIGCONT"),
    logTail: () => running.logTail(),
    stop: async () => void (await running.stop()),
  };
}
