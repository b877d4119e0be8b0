import { PortolanError } from "../errors.ts";
import { type Command, type Environment, failureOf, runCommand } from "../run-command.ts";
import type { Target } from "./target.ts";

/**
 * Runs the target's check, if it has one, on a staged file. Rejects with CHECK_FAILED and what it printed, and
 * with ABORTED when `signal` aborts.
 */
export async function check(
  target: Target,
  staged: string,
  env: Environment,
  signal: AbortSignal,
): Promise<void> {
  if (target.check === undefined) return;
  const { destination, commandTimeout: timeout } = target;
  const command = withSource(target.check, staged);
  const ended = await runCommand(command, { timeout, env: { ...env, PORTOLAN_STAGED: staged }, signal });
  if (signal.aborted) throw new PortolanError("ABORTED", `the check of ${destination} was cancelled`);
  const failure = failureOf(command, ended, timeout);
  if (failure === undefined) return;
  throw new PortolanError("CHECK_FAILED", `${destination} stays as it is: its check ${failure}`);
}

/** Puts the staged file's path in the place of `{{src}}`. */
export function withSource(command: Command, path: string): Command {
  if ("shell" in command) return { shell: command.shell.replaceAll("{{src}}", () => shellWord(path)) };
  return { argv: command.argv.map((word) => word.replaceAll("{{src}}", () => path)) };
}

/**
 * Escapes each character that might mean something to a shell. Unlike quotes around the whole, this stays
 * harmless where the operator wrote quotes of his own around `{{src}}`; a plain path is itself anywhere.
 */
function shellWord(text: string): string {
  return text.replace(/[^\w@%+=:,./\u{80}-\u{10ffff}-]/gu, "\\$&");
}
