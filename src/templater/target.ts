import type { Command } from "../run-command.ts";
import type { Format } from "./escape/format.ts";
import type { GuardSettings } from "./guard-settings.ts";

/** How the proxy is told that its file has changed. */
export type Reload =
  | { readonly kind: "none" }
  | { readonly kind: "command"; readonly command: Command }
  | { readonly kind: "signal"; readonly name: NodeJS.Signals; readonly pidfile: string }
  | HaproxyReload
  | NginxReload
  | HttpReload
  | ContainerReload;

/** HAProxy: servers by the runtime API, everything else by a reload that is read back. Paths are absolute. */
export interface HaproxyReload {
  readonly kind: "haproxy";
  /** The `stats socket` of level admin. */
  readonly socket: string;
  /** The master's socket (`-S`). */
  readonly master?: string;
  /** The master's pid (`-p`), for when the master's socket is not there. */
  readonly pidfile?: string;
}

/** nginx: SIGHUP, and a look at its workers. Paths are absolute. */
export interface NginxReload {
  readonly kind: "nginx";
  readonly pidfile: string;
  /** No reload while more generations of old workers than this are shutting down. */
  readonly maxOld: number;
  /** Where nginx says why it refuses; absent: the `error_log` in the rendered file. */
  readonly errorLog?: string;
}

/** A request whose status says whether the file was accepted. */
export interface HttpReload {
  readonly kind: "http";
  readonly url: string;
  readonly method: string;
  /** The accepted statuses; empty: 200 to 299. */
  readonly expect: readonly number[];
}

/** Docker: a signal to a container, or a program run in it. */
export interface ContainerReload {
  readonly kind: "container";
  readonly name: string;
  readonly action: { readonly signal: NodeJS.Signals } | { readonly exec: readonly string[] };
  /** `unix:///path`, `tcp://host:port` or `http://host:port`; absent: the DOCKER_HOST of the environment. */
  readonly docker?: string;
}

/** Hosts take turns to reload: those that say the same name, whatever they render. */
export interface HostTurns {
  readonly name: string;
  /** How many hosts may reload at once. */
  readonly atMost: number;
  /** ms that a turn is waited for: after that the proxy is reloaded without it. */
  readonly wait: number;
}

/** What is rendered where, and what makes it count: template, destination, check and reload. */
export interface Target {
  /** Absolute path of the template. */
  readonly source: string;
  /** Absolute path of the rendered file; also the target's name in messages. */
  readonly destination: string;
  /** Absolute paths of folders: nothing is written elsewhere. Absent: the destination may be anywhere. */
  readonly roots?: readonly string[];
  /** Absent: what the template's file name says. */
  readonly format?: Format;
  /** One file for each service that has the tag, if one is given; `{{name}}` in the destination stands for its name. */
  readonly forEach?: { readonly tag?: string };
  /** The destination of the `forEach` target that this file is one of. */
  readonly partOf?: string;
  /** Permission bits, e.g. 0o644. Absent: those of the live file, else 0644. */
  readonly mode?: number;
  /** Names or numbers. Absent: those of the live file, else of this process. */
  readonly owner?: { readonly user?: string; readonly group?: string };
  /** How many accepted files are kept besides the last one; 5 when absent. */
  readonly backups?: number;
  /** Targets of one group swap together, or none of them does, and reload once. */
  readonly group?: string;
  /** Run on the staged file before the swap; `{{src}}` in an argument stands for its path. */
  readonly check?: Command;
  readonly reload: Reload;
  /** ms: a reload waits a random part of this, so that those of many hosts are spread. None when absent. */
  readonly splay?: number;
  /** A reload waits for its turn among hosts, until it is verified. None when absent. */
  readonly reloadTurns?: HostTurns;
  /** Run once the proxy has taken the file; when it fails, the last good file is put back and reloaded. */
  readonly verify?: Command;
  /** When the file may shrink, as far as it is not as usual. */
  readonly guard?: Partial<GuardSettings>;
  /** ms after which a check, reload or verification is ended together with its process group. */
  readonly commandTimeout: number;
  /** ms. The first change after quiet is applied after `min`; a storm is bounded by `max`. A start waits for nothing. */
  readonly wait: { readonly min: number; readonly max: number };
  /** ms between two reloads. */
  readonly minInterval: number;
}
