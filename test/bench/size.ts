import { setTimeout as sleep } from "node:timers/promises";
import type { Measured } from "./measured.ts";
import { type Result, resultOf, type Samples } from "./result.ts";

/** Programs that have been started, and what is left to be measured of them. */
export interface Size {
  readonly running: { readonly product: Measured; readonly floor: Measured };
  /** Measures the idle processor time now, and tells everything. Nothing else should be done meanwhile. */
  idle(): Promise<readonly Result[]>;
}

const starts = 4;
/** ms after which a program that became ready has finished what it does at its start. */
const settling = 500;
const idleTime = 4_000;
const idleParts = 4;

/** Starts both a few times in turn, and leaves the last ones running. */
export async function sizeOf(
  subject: string,
  program: string,
  start: { readonly product: () => Promise<Measured>; readonly floor: () => Promise<Measured> },
): Promise<Size> {
  const startMs: Samples = { product: [], floor: [] };
  const rss: Samples = { product: [], floor: [] };
  const once = async (which: "product" | "floor") => {
    const measured = await start[which]();
    startMs[which].push(measured.startMs);
    await sleep(settling);
    rss[which].push(measured.rss());
    return measured;
  };
  for (let count = 1; count < starts; count += 1) {
    await (await once("floor")).stop();
    await (await once("product")).stop();
  }
  const running = { floor: await once("floor"), product: await once("product") };

  return {
    running,
    async idle() {
      const cpu: Samples = { product: [], floor: [] };
      await sleep(settling);
      for (let part = 0; part < idleParts; part += 1) {
        const before = { product: running.product.cpu(), floor: running.floor.cpu() };
        const begun = performance.now();
        await sleep(idleTime / idleParts);
        const percent = 100 / (performance.now() - begun);
        for (const which of ["product", "floor"] as const)
          cpu[which].push((running[which].cpu() - before[which]) * percent);
      }
      return [
        resultOf(subject, `${program}: start → ready`, "ms", startMs),
        resultOf(subject, `${program}: memory after start`, "MB", rss),
        resultOf(subject, `${program}: processor, idle`, "%", cpu),
      ];
    },
  };
}
