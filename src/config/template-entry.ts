import { PortolanError } from "../errors.ts";
import type { Command } from "../run-command.ts";
import type { Format } from "../templater/escape/format.ts";
import type { HostTurns, Reload, Target } from "../templater/target.ts";

/** One template as the command line or the config file names it. */
export interface TemplateEntry {
  /** Relative to the working folder, where it is not absolute. */
  readonly source: string;
  readonly destination: string;
  readonly format?: Format;
  readonly forEach?: NonNullable<Target["forEach"]>;
  readonly mode?: number;
  readonly owner?: NonNullable<Target["owner"]>;
  readonly backups?: number;
  readonly group?: string;
  readonly guard?: NonNullable<Target["guard"]>;
  readonly check?: Command;
  readonly reload: Reload;
  /** ms. */
  readonly splay?: number;
  readonly reloadTurns?: HostTurns;
  readonly verify?: Command;
  /** ms. */
  readonly timeout: number;
  /** `file:line:column` of the config file, for messages. */
  readonly place?: string;
}

/** ms after which a check or reload is ended unless the config file says otherwise. */
export const defaultTimeout = 30_000;

/** `SOURCE:DEST[:COMMAND]`, split at the first two colons; COMMAND is for `/bin/sh -c`. Throws USAGE. */
export function parseTemplateFlag(text: string): TemplateEntry {
  const [, source, destination, shell] = /^([^:]+):([^:]+)(?::(.*))?$/s.exec(text) ?? [];
  if (source === undefined || destination === undefined) {
    throw new PortolanError(
      "USAGE",
      `"${text}" is not SOURCE:DEST[:COMMAND]; a path with a colon needs the config file`,
    );
  }
  return {
    source,
    destination,
    reload: shell?.trim() ? { kind: "command", command: { shell } } : { kind: "none" },
    timeout: defaultTimeout,
  };
}
