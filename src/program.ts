import tls from "node:tls";
import { coded, PortolanError } from "./errors.ts";

// Whatever Node.js and its options allow: nobody who reads or changes what passes is to be spoken to.
tls.DEFAULT_MIN_VERSION = "TLSv1.2";

// What `cli.ts` runs: built into one file, which it loads once it is ready for signals.
export { runCommandLine } from "./commands/command-line.ts";

/** What standard error says of an error that no command has caught. */
export function failureText(error: unknown): string {
  const { code, message } = coded("FAILED", error);
  const stack = error instanceof Error && !(error instanceof PortolanError) ? `\n${error.stack}` : "";
  return `portolan: ${code}: ${message}${stack}\n`;
}
