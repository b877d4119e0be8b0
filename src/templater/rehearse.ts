import { PortolanError } from "../errors.ts";
import { isRefusal } from "./check.ts";
import { type InstallRequest, install } from "./install.ts";
import type { Tally } from "./tally.ts";

/**
 * Stages and checks files as an install does, and takes them away again: nothing goes live, and what is refused is not
 * kept. Undefined when they pass, which what is live does unasked; else what stands against them, a refusal or a
 * TEMPLATE error of `request`. Rejects with whatever else an install rejects with.
 */
export async function rehearse(
  request: () => Promise<InstallRequest>,
  tally: Pick<Tally, "installed" | "notInstalled">,
): Promise<PortolanError | undefined> {
  try {
    const { turn, records, ...rest } = await request();
    const installed = await install({
      ...rest,
      // Whatever is overtaken ends before anything goes live.
      turn: { signal: turn.signal, settled: async () => false },
      records: { ...records, rejected: { ...records.rejected, keep: async () => undefined } },
    });
    tally.installed(installed, undefined);
    return undefined;
  } catch (error) {
    tally.notInstalled(error);
    if (isRefusal(error) || (error instanceof PortolanError && error.code === "TEMPLATE")) return error;
    throw error;
  }
}
