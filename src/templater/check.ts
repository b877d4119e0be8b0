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
  throw new PortolanError("CHECK_FAILED", `${destination}${stays}${failure}`);
}

const stays = " stays as it is: its check ";

/** True when a check has said no, and not when it could not be asked. */
export function isRefusal(error: unknown): error is PortolanError {
  return error instanceof PortolanError && error.code === "CHECK_FAILED";
}

/** Characters of what is shown of a refusal in one line. */
const mostWords = 300;

/** The line of a refusal that says most: of what was printed, which begins with notices, else how the check has ended. */
export function wordsOf(refusal: PortolanError): string {
  const { message } = refusal.cause instanceof PortolanError ? refusal.cause : refusal;
  const [ended = "", ...printed] = message.split("\n");
  const line = printed.find((one) => /\b(alert|emerg|crit|error|fatal)\b/i.test(one)) ?? printed[0];
  return (line ?? ended.split(stays).at(-1) ?? ended).trim().slice(0, mostWords);
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
