import { PortolanError } from "../../errors.ts";
import { type Command, failureOf, runCommand } from "../../run-command.ts";
import { ReloadError, type Reloader } from "./reloader.ts";

/** Runs a command; exit code 0 is acceptance. What it starts in the background may stay. */
export function commandReload(command: Command): Reloader {
  return async ({ destination, timeout, env }, signal) => {
    const ended = await runCommand(command, { timeout, env, signal, background: "stays" });
    if (signal.aborted) throw new PortolanError("ABORTED", `the reload of ${destination} was cancelled`);
    const failure = failureOf(command, ended, timeout);
    if (failure === undefined) return { accepted: "reload" };
    // 126 and 127: it could not be run at all.
    const left = ended.code === 126 || ended.code === 127 ? "none" : "open";
    throw new ReloadError(left, `the reload of ${destination} failed: ${failure}`);
  };
}
