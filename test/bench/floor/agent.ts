import { createApply } from "./apply.ts";
import { watchContainers } from "./docker.ts";
import type { Close, FloorOptions } from "./settings.ts";

/** Docker event → inspect → text with or without the server → file, check, rename, signal. */
export async function runAgent(options: FloorOptions): Promise<Close> {
  const apply = createApply(options);
  const show = (line: string) => apply(options.text.replaceAll("@SERVER@", line));
  return watchContainers(options, {
    started({ port }) {
      show(options.line.replaceAll("@PORT@", String(port)));
    },
    ended() {
      show("");
    },
  });
}
