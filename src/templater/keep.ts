import { instancesOf, type Snapshot } from "../backends/backend.ts";
import { monotonic, pause } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import type { Log } from "../log.ts";
import { controlLoop, type Turn } from "../loop.ts";
import type { Accepted } from "./accepted.ts";
import { install } from "./install.ts";
import { loadTemplate } from "./load.ts";
import { type Refused, type Rendered, renderTemplate, type Template } from "./render.ts";
import type { Target } from "./target.ts";
import { type Reads, sameReads } from "./view.ts";

/** What all targets of a templater share. */
export interface KeepOptions {
  /** For templates, checks and reloads. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The name of this host, for templates. */
  readonly node: string;
  readonly log: Log;
  /** Takes each rendered text instead of the destination: `--dry-run`. */
  preview?(target: Target, text: string): void;
}

/** One target being kept equal to its template. */
export interface Keeper {
  /** What the backend is to be asked for. */
  reads(): Reads;
  /** The snapshot may have changed: renders when something that the template read did. */
  look(): void;
  /** Reads the template again and renders. */
  reload(): void;
  notReady(): string | undefined;
  status(): unknown;
  stop(): Promise<void>;
}

/** What a target's loop needs of the templater around it. */
export interface Surroundings {
  snapshot(): Snapshot | undefined;
  /** What the proxies have accepted, shared by all targets. */
  accepted(): Promise<Accepted>;
  /** Tells the backend what all templates read. */
  want(): void;
  changed(): void;
}

/** ms that render, check and reload may take before `/readyz` says that a change is not applied. */
const patience = 5_000;

/** A render, and the snapshot that it shows. */
interface Outcome {
  readonly outcome: Rendered;
  readonly snapshot: Snapshot | undefined;
}

/** Starts the loop of one target. Nothing happens before the first `look` or `reload`. */
export function keepTarget(target: Target, options: KeepOptions, around: Surroundings): Keeper {
  const { log } = options;
  const name = { destination: target.destination };
  /** The last template that rendered; a stale one is to be read again. */
  let template: Template | undefined;
  let stale = true;
  /** Why the template on the disk is not the one in use. */
  let bad: unknown;
  let reads: Reads = { services: new Set(), all: false };
  /** What the backend is asked for: while an edited template is not in use yet, what both read. */
  let wanted: Reads = reads;
  /** The snapshot that was last rendered, and the one whose text was last applied. */
  let rendered: Snapshot | undefined;
  let applied: Snapshot | undefined;
  /** True when `reads` says what the render of `rendered` depended on: a render that failed does not tell. */
  let readsKnown = false;
  let started = false;
  let lastReload = Number.NEGATIVE_INFINITY;
  /** When the first change came that is not rendered yet, and the first that is not applied yet. */
  let waiting: number | undefined;
  let behind: number | undefined;
  let reason: string | undefined = "not rendered yet";
  /** The gist of the failure that was logged last; undefined when there was none, or it has passed. */
  let told: string | undefined;
  let refused: readonly Refused[] = [];
  let revision = 0;

  const setReason = (next: string | undefined) => {
    if (next === reason) return;
    reason = next;
    around.changed();
  };

  const renderWith = (next: Template, inUse: boolean): Outcome => {
    const snapshot = around.snapshot();
    behind ??= waiting;
    waiting = undefined;
    rendered = snapshot;
    readsKnown = false;
    const outcome = renderTemplate(next, { snapshot, env: options.env, node: options.node });
    reads = outcome.reads;
    readsKnown = true;
    wanted = inUse ? reads : both(wanted, reads);
    around.want();
    return { outcome, snapshot };
  };

  /** Renders the template as it stands on the disk; while that one is bad, the last good one. */
  const render = async (): Promise<Outcome> => {
    const reread = stale;
    stale = false;
    bad = undefined;
    try {
      const next = reread || !template ? await loadTemplate(target.source) : template;
      const made = renderWith(next, next === template);
      // One that waits has not shown yet that it can be rendered.
      if (made.outcome.status === "rendered") template = next;
      else stale ||= next !== template;
      return made;
    } catch (error) {
      // It is read again at the next try: its author may be mending it.
      stale = true;
      if (!reread || !template) throw error;
      const made = renderWith(template, false);
      bad = error;
      return made;
    }
  };

  const pass = async (turn: Turn): Promise<undefined | "superseded"> => {
    await pause(lastReload + target.minInterval - monotonic(), turn.signal);
    const { outcome, snapshot } = await render();
    if (outcome.status === "rendered" && (await apply(outcome, snapshot, turn)) === "superseded")
      return "superseded";
    if (bad) throw bad;
    behind = undefined;
    told = undefined;
    setReason(outcome.status === "waiting" ? `waits for ${outcome.for.join(", ")}` : undefined);
    return undefined;
  };

  const apply = async (
    outcome: Extract<Rendered, { status: "rendered" }>,
    snapshot: Snapshot | undefined,
    turn: Turn,
  ): Promise<undefined | "superseded"> => {
    reportRefused(outcome.refused);
    if (options.preview) {
      options.preview(target, outcome.text);
      return undefined;
    }
    const services = changedServices(reads, applied, snapshot);
    const { verdict, took } = await install({
      text: outcome.text,
      target,
      turn,
      accepted: await around.accepted(),
      revision: revision + 1,
      changed: services,
      env: options.env,
      log,
      reloaded: () => {
        lastReload = monotonic();
      },
    });
    if (verdict === "superseded") return "superseded";
    applied = snapshot;
    if (verdict !== "unchanged") {
      revision += 1;
      log.info({ ...name, services, revision, tookMs: rounded(took) }, verdict);
    }
    return undefined;
  };

  const reportRefused = (next: readonly Refused[]) => {
    for (const { id, service, reason: why } of next) {
      if (refused.some((before) => before.id === id && before.reason === why)) continue;
      log.error({ ...name, service, id, code: "VALUE_REFUSED" }, `instance left out: ${why}`);
    }
    refused = next;
  };

  const nudge = () => {
    waiting ??= monotonic();
    loop.nudge();
  };

  /** A check that hangs is no failure yet, but the file is not what it should be either. */
  const overdue = (): string | undefined => {
    const since = behind ?? waiting;
    if (since === undefined) return undefined;
    const late = monotonic() - since;
    if (late < target.wait.max + target.minInterval + patience) return undefined;
    return `a change of ${Math.round(late / 1000)} s ago is not applied yet`;
  };

  const loop = controlLoop({
    wait: target.wait,
    pass,
    failed(error, retryIn) {
      const { code, message } =
        error instanceof PortolanError ? error : { code: "FAILED", message: String(error) };
      const news = gist(code, message);
      const level = news === told ? "debug" : "error";
      const what = error === bad ? "template not used, the one before stays" : "not applied";
      log[level]({ ...name, err: error, retryInMs: Math.round(retryIn) }, `${what}; trying again`);
      told = news;
      setReason(`${code}: ${message}`);
    },
  });

  return {
    reads: () => wanted,
    look() {
      const now = around.snapshot();
      if (started && (readsKnown ? sameReads(reads, rendered, now) : rendered === now)) return;
      started = true;
      nudge();
    },
    reload() {
      stale = true;
      // Whoever asks for it wants to hear what is wrong, also when it is what was wrong before.
      told = undefined;
      nudge();
    },
    notReady() {
      const why = reason ?? overdue();
      return why === undefined ? undefined : `${target.destination}: ${why}`;
    },
    status: () => ({
      source: target.source,
      destination: target.destination,
      reason,
      revision,
      reads: { services: [...reads.services], all: reads.all },
      refused,
    }),
    stop: loop.stop,
  };
}

/**
 * What two messages of one failure have in common: programs print their pid, the time and temporary files. In a
 * template's own mistakes the numbers are lines.
 */
function gist(code: string, message: string): string {
  return code + (code === "TEMPLATE" ? message : message.replace(/\/tmp\/\S+|\d+/g, "#"));
}

function both(a: Reads, b: Reads): Reads {
  return { services: new Set([...a.services, ...b.services]), all: a.all || b.all };
}

/** The services whose instances differ between two snapshots, among those that a template read. */
function changedServices(
  reads: Reads,
  before: Snapshot | undefined,
  after: Snapshot | undefined,
): readonly string[] {
  const names = new Set(reads.services);
  if (reads.all)
    for (const snapshot of [before, after])
      for (const name of snapshot?.services.keys() ?? []) names.add(name);
  const of = (snapshot: Snapshot | undefined, name: string) => snapshot && instancesOf(snapshot, name);
  return [...names]
    .filter(
      (name) => of(before, name) !== of(after, name) && (of(before, name)?.length || of(after, name)?.length),
    )
    .sort();
}

function rounded(took: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(took).map(([step, ms]) => [step, Math.round(ms * 10) / 10]));
}
