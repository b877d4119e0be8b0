// Removing all that belongs to a folder: a Docker that was killed leaves shims, containers and mounts behind.
import { readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { execNow } from "./exec.ts";
import { blockUntil, listProcesses, type ProcessEntry } from "./proc.ts";

/**
 * Ends the processes whose command line names a path below `dir` (and their descendants), takes away the mounts
 * below it, and removes it. Synchronous, for the end of a process; again: nothing.
 */
export function sweepFolder(dir: string): void {
  endProcessesOf(dir);
  for (const mount of mountsBelow(dir)) execNow("umount", ["--lazy", mount]);
  removeCgroups(dir);
  // Never through a mount that would not go: a container may have other people's files mounted.
  if (mountsBelow(dir).length === 0) rmSync(dir, { recursive: true, force: true });
}

/** Ends (SIGKILL) what runs for `dir`, this process and its ancestors excepted. */
export function endProcessesOf(dir: string): void {
  // Twice: what forked while we read the list is seen the second time.
  for (let round = 0; round < 2; round++) {
    const processes = listProcesses();
    const ours = new Set(ancestors(process.pid, processes));
    const doomed = new Set<number>();
    // Parents come before their children in the list only by chance, so it is gone through until nothing is added.
    for (let before = -1; before !== doomed.size; ) {
      before = doomed.size;
      for (const { pid, parent, command } of processes) {
        if (ours.has(pid)) continue;
        if (doomed.has(parent) || command.includes(`${dir}/`)) doomed.add(pid);
      }
    }
    if (doomed.size === 0) return;
    for (const pid of doomed) kill(pid);
    waitUntilGone(doomed);
  }
}

function ancestors(pid: number, processes: readonly ProcessEntry[]): readonly number[] {
  const parent = processes.find((one) => one.pid === pid)?.parent;
  return parent === undefined ? [pid] : [pid, ...ancestors(parent, processes)];
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}

function waitUntilGone(pids: ReadonlySet<number>): void {
  blockUntil(() => !listProcesses().some(({ pid, isZombie }) => pids.has(pid) && !isZombie), 2_000);
}

/** Docker removes a container's control groups, unless it was killed; empty ones would pile up. */
function removeCgroups(dir: string): void {
  const root = "/sys/fs/cgroup";
  for (const id of entries(join(dir, "data/containers"))) {
    for (const hierarchy of ["", ...entries(root)]) {
      try {
        rmdirSync(join(root, hierarchy, "docker", id));
      } catch {
        // Not in this hierarchy.
      }
    }
  }
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Mount points below a folder, the deepest first. */
function mountsBelow(dir: string): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .flatMap((line) => line.split(" ")[4] ?? [])
    .filter((path) => path.startsWith(`${dir}/`))
    .reverse();
}
