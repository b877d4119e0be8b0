import type { TargetWorld } from "../../acknowledgement.ts";
import type { TargetStatus } from "../../daemon-status.ts";
import type { LocalContainerSource } from "../../local-containers.ts";
import type { Log } from "../../log.ts";
import type { Meter } from "../../meter.ts";
import type { Watched } from "../../watched-files.ts";
import type { Asked } from "../guarded-world.ts";
import type { Locks } from "../host-turn.ts";
import type { LastGood } from "../last-good.ts";
import type { Records } from "../records.ts";
import type { Target } from "../target.ts";
import type { Reads, World } from "../view.ts";

/** What all targets of a templater share. */
export interface KeepOptions {
  /** For templates, checks and reloads. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The name of this host, for templates. */
  readonly node: string;
  readonly log: Log;
  /** Where it counts what it does; nowhere when absent. */
  readonly meter?: Meter;
  /** The containers of this host; absent where nobody watches its Docker. */
  readonly containers?: LocalContainerSource;
  /** The id of the container in which this process runs; undefined outside of one. */
  readonly ownContainer?: string | undefined;
  /**
   * Takes each rendered text instead of the destination, undefined for a file that would go, and what a diff of it is
   * to pass through before somebody sees it: `--dry-run`.
   */
  preview?(target: Target, text: string | undefined, masked: (diff: string) => string): void;
}

/** One target, or the targets of one group, being kept equal to their templates. */
export interface Keeper {
  /** What the backend is to be asked for. */
  reads(): readonly Reads[];
  /** The observation has changed: renders when something that a template read did. To be called for every change. */
  look(): void;
  /** Reads the templates again and renders. */
  reload(): void;
  /** A rollback may have been ordered or released. */
  pinned(): void;
  /** What is to be watched: the folders of the templates, and the files that they read. */
  watched(): Watched;
  /** These files have changed: reads or renders again what depends on them. */
  touched(paths: ReadonlySet<string>): void;
  notReady(): string | undefined;
  /** What the proxy of each target runs with. */
  running(): readonly TargetWorld[];
  /** One entry for each target. */
  status(): readonly TargetStatus[];
  /** By destination, why the diffs of the files are not shown to everybody; undefined where they are. */
  withheld(): ReadonlyMap<string, string | undefined>;
  stop(): Promise<void>;
}

/** What a keeper needs of the templater around it. */
export interface Surroundings {
  readonly backend: Asked;
  /** For reloads that take turns among hosts; absent where the backend has none. */
  readonly locks?: Locks | undefined;
  /** The keys and values that were asked for, as templates see them. */
  keys(): World["keys"];
  /** Whether the keys cannot be read now. */
  keysAway(): boolean;
  /** The containers of this host, as templates see them. */
  containers(): World["containers"];
  /** What the state folder knows, shared by all targets. */
  records(): Promise<Records>;
  /** What these destinations were last rendered from, by this process or the one before. */
  lastGood(destinations: readonly string[]): LastGood;
  /** Tells the backend what all templates read. */
  want(): void;
  /** What `running` says may have changed. */
  settled(): void;
  changed(): void;
}
