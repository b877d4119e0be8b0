import type { Note } from "./note.ts";

/** One target of our configuration. */
export interface Entry {
  /** Relative to the configuration. */
  readonly source: string;
  readonly destination: string;
  readonly mode?: string;
  readonly owner?: string;
  readonly backups?: number;
  readonly check?: readonly string[] | { readonly shell: string };
  readonly reload?: Readonly<Record<string, unknown>>;
  readonly splay?: string;
  readonly timeout?: string;
  readonly guard?: Readonly<Record<string, unknown>>;
}

/** Our configuration, before it is written down. */
export interface Draft {
  readonly backend?: string;
  readonly logLevel?: string;
  readonly wait?: Readonly<Record<string, string>>;
  readonly entries: readonly Entry[];
}

/** A file that goes beside our configuration. */
export interface OutFile {
  /** Relative to the configuration. */
  readonly path: string;
  readonly text: string;
}

/** What became of an old configuration, or of one template. */
export interface Migrated {
  /** Absent where only a template was given. */
  readonly draft?: Draft;
  readonly files: readonly OutFile[];
  readonly notes: readonly Note[];
}

/** A file that was given, and its path as it was written. */
export interface Given {
  readonly path: string;
  readonly text: string;
  /** Of confd: the folder below which keys are those that registrator writes, `<service>/<id>`. */
  readonly services?: string | undefined;
  /** What the files that were given before it have been turned into; its own are added to them. */
  readonly made?: readonly OutFile[];
}

/** The files around it: undefined for what cannot be read. Relative paths are relative to the working folder. */
export interface Files {
  read(path: string): string | undefined;
  /** The names in a folder; empty when there is none. */
  list(folder: string): readonly string[];
}
