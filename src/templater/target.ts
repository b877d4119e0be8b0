/** A program to run. `argv` runs without a shell; `shell` is handed to `/bin/sh -c`. */
export type Command = { readonly argv: readonly string[] } | { readonly shell: string };

/** How the proxy is told that its file has changed. */
export type Reload =
  | { readonly kind: "none" }
  | { readonly kind: "command"; readonly command: Command }
  | { readonly kind: "signal"; readonly name: NodeJS.Signals; readonly pidfile: string };

/** What is rendered where, and what makes it count: template, destination, check and reload. */
export interface Target {
  /** Absolute path of the template. */
  readonly source: string;
  /** Absolute path of the rendered file; also the target's name in messages. */
  readonly destination: string;
  /** Permission bits, e.g. 0o644. Absent: those of the live file, else 0644. */
  readonly mode?: number;
  /** Run on the staged file before the swap; `{{src}}` in an argument stands for its path. */
  readonly check?: Command;
  readonly reload: Reload;
  /** ms after which a check or reload is ended together with its process group. */
  readonly commandTimeout: number;
  /** ms. The first change after quiet is applied after `min`; a storm is bounded by `max`. */
  readonly wait: { readonly min: number; readonly max: number };
  /** ms between two reloads. */
  readonly minInterval: number;
}
