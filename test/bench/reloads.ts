import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { tempDir } from "../servers/run.ts";
import { createSeen } from "./seen.ts";

/** The proxy that the bench plays: it gets the reload signal and knows when. */
export interface Reloads {
  readonly pidFile: string;
  /** Unix time in ms of the next signal. */
  next(): Promise<number>;
  /** Resolves when no signal has come for this many ms. */
  quiet(ms: number): Promise<void>;
  close(): void;
}

/** Listens to SIGUSR2. */
export function listenToReloads(): Reloads {
  const seen = createSeen<"reload">("the reload signal");
  const pidFile = join(tempDir("bench-pid"), "pid");
  writeFileSync(pidFile, `${process.pid}\n`);
  let last = performance.now();
  const take = () => {
    seen.tell("reload");
    last = performance.now();
  };
  process.on("SIGUSR2", take);
  return {
    pidFile,
    next: () => seen.next(() => true),
    async quiet(ms) {
      const begun = performance.now();
      for (;;) {
        const rest = Math.max(last, begun) + ms - performance.now();
        if (rest <= 0) return;
        await new Promise((resolve) => setTimeout(resolve, rest));
      }
    },
    close: () => void process.off("SIGUSR2", take),
  };
}
