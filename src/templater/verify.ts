import { PortolanError } from "../errors.ts";
import { failureOf, runCommand } from "../run-command.ts";
import { commandEnvironment } from "./command-environment.ts";
import type { InstallRequest } from "./install-request.ts";
import type { Part } from "./part.ts";
import { ReloadError } from "./reload/index.ts";

/**
 * Runs what the targets of these parts ask for once the proxy has taken them, each different one once. Rejects
 * with RELOAD_FAILED and what it printed, the proxy being at the new files; with ABORTED when `signal` aborts.
 */
export async function verify(
  parts: readonly Part[],
  request: InstallRequest,
  signal: AbortSignal,
): Promise<void> {
  const done = new Set<string>();
  for (const { target } of parts) {
    const { verify: command, source, commandTimeout: timeout } = target;
    if (command === undefined) continue;
    const destination = target.partOf ?? target.destination;
    const key = JSON.stringify([command, destination]);
    if (done.has(key)) continue;
    done.add(key);
    const env = commandEnvironment(request, { source, destination });
    const ended = await runCommand(command, { timeout, env, signal });
    if (signal.aborted) {
      throw new PortolanError("ABORTED", `the verification of ${destination} was cancelled`);
    }
    const failure = failureOf(command, ended, timeout);
    if (failure !== undefined) {
      const what = `${destination} was taken, and its verification failed: ${failure}`;
      throw new ReloadError("open", what);
    }
  }
}
