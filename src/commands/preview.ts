import type { Log } from "../log.ts";
import type { Target } from "../templater/target.ts";
import { diffWithLive } from "./live-diff.ts";

/** Where a dry run shows what it would write. */
export interface Preview {
  /** Prints what a render would change (undefined: the file would go), unless that is what was printed before. */
  show(target: Target, text: string | undefined, masked: (diff: string) => string): void;
  /** Resolves when all has been printed. */
  printed(): Promise<void>;
}

/** A preview on standard output. */
export function createPreview(print: (text: string) => void, log: Pick<Log, "info" | "error">): Preview {
  const shown = new Map<string, string>();
  let last: Promise<void> = Promise.resolve();
  const showDiff = async (
    destination: string,
    text: string | undefined,
    masked: (diff: string) => string,
  ) => {
    const diff = masked(await diffWithLive(destination, text));
    if (shown.get(destination) === diff) return;
    shown.set(destination, diff);
    if (diff === "") log.info({ destination }, "dry run: nothing would change");
    else print(diff);
  };
  return {
    show({ destination }, text, masked) {
      last = last
        .then(() => showDiff(destination, text, masked))
        .catch((err: unknown) => log.error({ destination, err }, "dry run: the live file could not be read"));
    },
    printed: () => last,
  };
}
