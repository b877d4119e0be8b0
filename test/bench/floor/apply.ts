import { execFile } from "node:child_process";
import { rename, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { FloorOptions } from "./settings.ts";

const run = promisify(execFile);

/** Temporary file → `haproxy -c` → rename → signal; the latest text only, one after the other. */
export function createApply({ destination, haproxy, pid }: FloorOptions): (text: string) => void {
  let next: string | undefined;
  let busy = false;
  const work = async () => {
    busy = true;
    while (next !== undefined) {
      const text = next;
      next = undefined;
      await writeFile(`${destination}.tmp`, text);
      await run(haproxy, ["-c", "-f", `${destination}.tmp`]);
      await rename(`${destination}.tmp`, destination);
      process.kill(pid, "SIGUSR2");
    }
    busy = false;
  };
  return (text) => {
    next = text;
    if (!busy) void work();
  };
}
