import { instancesOf, type Snapshot } from "../backends/backend.ts";
import { monotonic, pause } from "../clock.ts";
import { PortolanError } from "../errors.ts";
import type { Log } from "../log.ts";
import { controlLoop, type Turn } from "../loop.ts";
import type { Accepted } from "./accepted.ts";
import { install } from "./install.ts";
import { loadTemplate } from "./load.ts";
import { type Refused, renderTemplate, type Template } from "./render.ts";
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

/** Starts the loop of one target. Nothing happens before the first `look` or `reload`. */
export function keepTarget(target: Target, options: KeepOptions, around: Surroundings): Keeper {
  const { log } = options;
  const name = { destination: target.destination };
  let template: Template | undefined;
  let reads: Reads = { services: new Set(), all: false };
  /** The snapshot that was last rendered, and the one whose text was last applied. */
  let rendered: Snapshot | undefined;
  let applied: Snapshot | undefined;
  let started = false;
  let lastReload = Number.NEGATIVE_INFINITY;
  let reason: string | undefined = "not rendered yet";
  let refused: readonly Refused[] = [];
  let revision = 0;

  const setReason = (next: string | undefined) => {
    if (next === reason) return;
    reason = next;
    around.changed();
  };

  const pass = async (turn: Turn): Promise<undefined | "superseded"> => {
    await pause(lastReload + target.minInterval - monotonic(), turn.signal);
    template ??= await loadTemplate(target.source);
    const snapshot = around.snapshot();
    const outcome = renderTemplate(template, { snapshot, env: options.env, node: options.node });
    rendered = snapshot;
    reads = outcome.reads;
    around.want();
    if (outcome.status === "waiting") {
      setReason(`waits for ${outcome.for.join(", ")}`);
      return undefined;
    }
    reportRefused(outcome.refused);
    if (options.preview) {
      options.preview(target, outcome.text);
      setReason(undefined);
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
    });
    if (verdict === "superseded") return "superseded";
    applied = snapshot;
    if (verdict !== "unchanged") {
      revision += 1;
      lastReload = monotonic();
      log.info({ ...name, services, revision, tookMs: rounded(took) }, verdict);
    }
    setReason(undefined);
    return undefined;
  };

  const reportRefused = (next: readonly Refused[]) => {
    for (const { id, service, reason: why } of next) {
      if (refused.some((before) => before.id === id && before.reason === why)) continue;
      log.error({ ...name, service, id, code: "VALUE_REFUSED" }, `instance left out: ${why}`);
    }
    refused = next;
  };

  const loop = controlLoop({
    wait: target.wait,
    pass,
    failed(error, retryIn) {
      const { code, message } =
        error instanceof PortolanError ? error : { code: "FAILED", message: String(error) };
      const news = `${code}: ${message}`;
      const level = news === reason ? "debug" : "error";
      log[level]({ ...name, err: error, retryInMs: Math.round(retryIn) }, "not applied; trying again");
      // A template is read again at the next try: its author may be mending it.
      if (code === "TEMPLATE") template = undefined;
      setReason(news);
    },
  });

  return {
    reads: () => reads,
    look() {
      if (started && sameReads(reads, rendered, around.snapshot())) return;
      started = true;
      loop.nudge();
    },
    reload() {
      template = undefined;
      loop.nudge();
    },
    notReady: () => (reason === undefined ? undefined : `${target.destination}: ${reason}`),
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
