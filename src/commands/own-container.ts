import { readFileSync } from "node:fs";

/**
 * The id of the container in which a process runs, as the mounts tell that Docker and Podman make in each one
 * (`/proc/<pid>/mountinfo`, see proc(5)): the file that is `/etc/hostname` there lies in a folder of that name.
 * Undefined outside of a container.
 */
export function containerOf(mountinfo: string): string | undefined {
  for (const line of mountinfo.split("\n")) {
    const [, , , root = "", place] = line.split(" ");
    const id = /\/(?<id>[0-9a-f]{64})\//.exec(root)?.groups?.id;
    if (place === "/etc/hostname" && id !== undefined) return id;
  }
  return undefined;
}

/** The id of the container in which this process runs; undefined outside of one. */
export function ownContainer(): string | undefined {
  try {
    return containerOf(readFileSync("/proc/self/mountinfo", "utf8"));
  } catch {
    // A system without /proc: none of Docker's own.
    return undefined;
  }
}
