import { spawnSync } from "node:child_process";

/** What Node.js takes to start and end with nothing to do. */
export interface BareStart {
  /** ms until it has ended. */
  readonly ms: number;
  /** ms of processor time, of all its threads, that it had used when it could have begun. */
  readonly cpuMs: number;
}

/** Starts a Node.js that does nothing, on the machine as it is now. */
export function startBareNode(): BareStart {
  const begun = performance.now();
  const { stdout } = spawnSync(process.execPath, [
    "--print",
    "const { user, system } = process.cpuUsage(); (user + system) / 1000",
  ]);
  return { ms: performance.now() - begun, cpuMs: Number(stdout) };
}
