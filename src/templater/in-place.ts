import type { Log } from "../log.ts";
import type { Target } from "./target.ts";

const warned = new Set<string>();

/** One warning per process and destination that cannot be renamed to. */
export function warnInPlace({ destination }: Target, log: Pick<Log, "warn">): void {
  if (warned.has(destination)) return;
  warned.add(destination);
  log.warn(
    { destination },
    "is a mount of its own and is written in place, so a reader may see half; mount its folder",
  );
}
