import { setTimeout as sleep } from "node:timers/promises";
import { startBareNode } from "./bare-node.ts";
import { productLabel } from "./containers.ts";
import type { Crowd } from "./crowd.ts";
import { type Measured, startProduct } from "./measured.ts";
import type { Subject } from "./options.ts";
import type { Programs } from "./programs.ts";
import { listenToReloads } from "./reloads.ts";
import { type Result, resultOf, type Samples } from "./result.ts";
import { startStore } from "./start-store.ts";
import { createTarget } from "./target.ts";

/** Containers of the host that does nothing. */
export const idleContainers = 50;
/** Starts of each program; the last one stays. */
const starts = 7;
/**
 * ms after which a program that became ready has finished what it does at its start: some ten seconds later V8 collects,
 * once, what was of use for that only.
 */
const settling = 15_000;
/** ms of idleness that are watched. */
const idleTime = 30_000;

/** A program that runs, and what each of its starts took, beside a Node.js that does nothing: both in turn. */
interface Started {
  readonly program: Measured;
  readonly startMs: Samples;
  /** ms of processor time until it was ready: of all threads, and the same on a busy machine. */
  readonly startCpuMs: Samples;
}

/** What the programs take on a host with 50 containers while nothing happens: with each store, or in one agent. */
export async function benchIdle(
  subject: Subject,
  crowd: Crowd,
  programs: Programs,
): Promise<readonly Result[]> {
  const reloads = listenToReloads();
  const store = subject === "memory" ? undefined : await startStore(subject);
  const url = store?.url("idle") ?? "memory:";
  const { config, env } = createTarget(programs.haproxy, reloads.pidFile);
  const docker = ["--docker", `unix://${crowd.host.socket}`, "--ip", crowd.host.address];
  const registering = [...docker, "--select", productLabel, "--node", "idle", "--on-exit", "deregister"];
  const rendering = ["--config", config];
  const words = store
    ? ({ registrator: registering, templater: rendering } as const)
    : ({ agent: [...registering, ...rendering] } as const);
  const running = new Map<string, Started>();
  try {
    for (const [command, args] of Object.entries(words)) {
      const start = () => startProduct(programs.cli, command as keyof typeof words, [...args, url], env);
      running.set(command, await startRepeatedly(start));
    }
    await sleep(settling);
    const before = new Map([...running].map(([command, { program }]) => [command, program.cpu()]));
    const begun = performance.now();
    await sleep(idleTime);
    const percent = 100 / (performance.now() - begun);
    return [...running].flatMap(([command, { program, startMs, startCpuMs }]) => {
      const cpu = (program.cpu() - (before.get(command) ?? 0)) * percent;
      const what = `${command}, ${idleContainers} containers`;
      const of = (samples: readonly number[]) => ({ product: [...samples], floor: [] });
      return [
        resultOf(subject, `${what}: start → ready`, "ms", startMs, { below: 400 }),
        resultOf(subject, `${what}: start → ready, processor`, "ms", startCpuMs),
        resultOf(subject, `${what}: memory`, "MB", of([program.rss()]), { below: 90 }),
        resultOf(subject, `${what}: processor, idle`, "%", of([cpu]), { below: 0.5 }),
      ];
    });
  } finally {
    for (const { program } of running.values()) await program.stop();
    await store?.stop();
    reloads.close();
  }
}

async function startRepeatedly(start: () => Promise<Measured>): Promise<Started> {
  const startMs: Samples = { product: [], floor: [] };
  const startCpuMs: Samples = { product: [], floor: [] };
  for (;;) {
    const bare = startBareNode();
    startMs.floor.push(bare.ms);
    startCpuMs.floor.push(bare.cpuMs);
    const program = await start();
    startMs.product.push(program.startMs);
    startCpuMs.product.push(program.cpu());
    if (startMs.product.length === starts) return { program, startMs, startCpuMs };
    await program.stop();
  }
}
