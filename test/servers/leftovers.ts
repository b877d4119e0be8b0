// What test runs leave when they are killed: found by their claims, whose owner is gone.
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { withLock } from "./lock.ts";
import { removeNetwork } from "./network.ts";
import { type ProcessRecord, signalGroup } from "./process.ts";
import { type RootNetwork, restoreRootNetwork } from "./root-network.ts";
import { isAlive, startTime, stateDir, stateFolder } from "./run.ts";
import { endProcessesOf, sweepFolder } from "./sweep.ts";

/** Ends and removes everything that ended test processes left on this machine. Returns what it ended, by name. */
export function cleanLeftovers(): Promise<readonly string[]> {
  return withLock(join(stateDir, "leftovers.lock"), 60_000, async () => {
    const ended = endProcesses();
    for (const { file, name } of claims("tmp")) {
      if (!isAlive(name.split(".")[0] ?? "")) sweepFolder(file);
    }
    for (const { file, name } of claims("networks")) {
      const claim = contentOf(file);
      const [owner = "", undo = ""] = claim?.split("\n") ?? [];
      if (claim === undefined || isAlive(owner)) continue;
      if (undo !== "") restoreRootNetwork(`ptl${name}-br`, JSON.parse(undo) as RootNetwork);
      removeNetwork(Number(name));
    }
    for (const { file } of claims("ports")) {
      const owner = contentOf(file);
      if (owner !== undefined && !isAlive(owner)) rmSync(file, { force: true });
    }
    return ended;
  });
}

const claims = (
  kind: "tmp" | "networks" | "ports" | "processes",
): readonly { file: string; name: string }[] =>
  readdirSync(stateFolder(kind)).map((name) => ({ file: join(stateFolder(kind), name), name }));

/** Undefined where its owner has just taken it away. */
function contentOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** A pid alone could be anybody's by now: start time and program must be those of the record. */
function endProcesses(): readonly string[] {
  const ended: string[] = [];
  for (const { file } of claims("processes")) {
    const claim = contentOf(file);
    if (claim === undefined) continue;
    const record = JSON.parse(claim) as ProcessRecord;
    if (isAlive(record.owner)) continue;
    if (startTime(record.pid) === record.start && commandLine(record.pid).includes(record.program)) {
      signalGroup(record.pid, "SIGKILL");
      ended.push(record.name);
    }
    if (record.sweep !== undefined) {
      endProcessesOf(record.sweep);
      sweepFolder(record.sweep);
    }
    rmSync(file, { force: true });
  }
  return ended;
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
