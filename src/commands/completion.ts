import { completionScript, shells } from "../config/completion.ts";
import { parseOneOf } from "../config/parse.ts";
import { PortolanError } from "../errors.ts";
import type { Context } from "./context.ts";
import { commands } from "./index.ts";

const parseShell = parseOneOf(shells);

/** `portolan completion SHELL`: prints the script that makes the shell complete command lines. */
export async function runCompletion({ settings, print }: Context): Promise<number> {
  const [shell] = settings.names;
  if (shell === undefined) throw new PortolanError("USAGE", `no shell; name one of ${shells.join(", ")}`);
  print(completionScript(parseShell(shell), commands));
  return 0;
}
