import { randomUUID } from "node:crypto";
import type { Backend } from "../backends/backend.ts";
import { monotonic, pause } from "../clock.ts";
import { createReadiness, type Daemon } from "../daemon.ts";
import type { RegistratorStatus } from "../daemon-status.ts";
import type { LocalContainerSource } from "../local-containers.ts";
import type { Log } from "../log.ts";
import { type Meter, unmeasured } from "../meter.ts";
import type { StateDir } from "../state-dir.ts";
import type { DockerOptions } from "./docker/engine.ts";
import { createFoundRoles, electionsOn, inquiry } from "./found-roles.ts";
import { createOverrides } from "./overrides/watch.ts";
import { ownerMemory } from "./owner-memory.ts";
import { reconcile } from "./reconcile.ts";
import { createReporter } from "./report.ts";
import { promotionBy } from "./roles/promotion-command.ts";
import type { RegistratorSettings } from "./settings.ts";
import { statusRecord } from "./status-record.ts";
import { watchDocker } from "./watch.ts";
import { createWishes } from "./wishes.ts";

/** What a registrator is made of. */
export interface RegistratorOptions {
  /** Docker's URL. */
  readonly docker: string;
  readonly backends: readonly Backend[];
  readonly settings: RegistratorSettings;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** Where it counts what it does; nowhere when absent. */
  readonly meter?: Meter;
  /** Where something is kept for the next process; nowhere when absent. */
  readonly state?: Pick<StateDir, "read" | "write">;
  /** How Docker is reached; by its URL when absent. */
  readonly connect?: DockerOptions["connect"];
  /** Told that the end will take this much longer, in ms, than the process is otherwise given for it. */
  linger?(ms: number): void;
}

/** A running registrator. */
export interface Registrator extends Daemon<RegistratorStatus> {
  /** What runs on its Docker, for templates of the same process. */
  readonly containers: LocalContainerSource;
}

/** Keeps the backends equal to what runs on one Docker. Closes neither the backends nor the log. */
export function startRegistrator(options: RegistratorOptions): Registrator {
  const { settings, env, log, meter = unmeasured } = options;
  const run = randomUUID();
  const report = createReporter(log);

  const docker = watchDocker(options.docker, settings, options);

  /** The end has come, and the records stay: so do the locks. */
  let handingOver = false;
  const elections = electionsOn(options.backends, settings.ttlSeconds, {
    keeps: () => handingOver,
    promote: settings.onPromote && promotionBy(settings.onPromote, { env, log, meter }),
  });
  const roles = createFoundRoles(inquiry(settings.probes, elections), () => {
    meter.count("role_changes", {});
    for (const reconciler of reconcilers) reconciler.nudge();
  });
  const overrides = createOverrides({
    backends: options.backends,
    log,
    state: options.state,
    changed: () => {
      for (const reconciler of reconcilers) reconciler.nudge();
    },
    nodeIn: (backend) => {
      const isJoined = reconcilers[options.backends.indexOf(backend)]?.joined() ?? false;
      return isJoined ? wishes.current()?.owner.node : undefined;
    },
    containerOf: (id) => wishes.current()?.instances.find((one) => one.id === id)?.container?.id,
    fate: (container) => wishes.current()?.fate(container) ?? "unread",
    ask: (container) => docker.recall([{ id: container, draining: false }]),
  });
  const wishes = createWishes({
    source: docker,
    docker: options.docker,
    settings,
    env,
    run,
    report,
    roles,
    overrides,
  });
  const leaving = new AbortController();
  /** Since when Docker may say something else than what is known of it: ms on the monotonic clock. */
  let staleSince: number | undefined = monotonic();

  const reconcilers = options.backends.map((backend) =>
    reconcile({
      backend,
      wish: wishes.current,
      recall: wishes.recall,
      ...(options.state && { memory: ownerMemory(options.state, backend.title, log) }),
      lease: {
        ...(settings.adopt && { adopt: wishes.isUpstream }),
        allowCheckScripts: settings.allowCheckScripts,
      },
      ttlSeconds: settings.ttlSeconds,
      resync: settings.resync,
      log,
      meter,
      changed: () => {
        readiness.changed();
        overrides.tidy();
      },
    }),
  );
  docker.subscribe(() => {
    const observed = docker.current();
    const { problem, known } = observed;
    report.docker(problem, known);
    staleSince = known && !problem ? undefined : (staleSince ?? monotonic());
    if (observed.known) report.unread(observed.value.unread);
    if (known) for (const reconciler of reconcilers) reconciler.nudge();
    overrides.tidy();
    readiness.changed();
  });

  const notReady = () => {
    const observed = docker.current();
    const { known, problem } = observed;
    return [
      ...(problem
        ? [problem.error.message]
        : known
          ? []
          : [`Docker at ${options.docker} has not answered yet`]),
      ...(observed.known ? observed.value.unread.values() : []),
      ...(known ? report.standing() : []),
      ...reconcilers.flatMap((reconciler) => reconciler.notReady() ?? []),
    ];
  };
  const readiness = createReadiness(notReady);

  /** Shows everything as draining for as long as the containers ask for. Beats go on meanwhile. */
  const showDraining = async () => {
    const ms = wishes.drain();
    for (const reconciler of reconcilers) reconciler.nudge();
    if (ms === 0 || leaving.signal.aborted) return;
    log.info(
      { seconds: ms / 1000 },
      "everything drains before it is deregistered; a second signal ends that",
    );
    options.linger?.(ms);
    await pause(ms, leaving.signal);
  };
  let drained: Promise<void> | undefined;
  /** Once the writing has ended, nobody would see a drain any more. */
  let ended = false;
  const drain = async (hurry?: AbortSignal) => {
    if (settings.onExit !== "drain" || ended) return;
    hurry?.addEventListener("abort", () => leaving.abort(), { once: true });
    if (hurry?.aborted) leaving.abort();
    drained ??= showDraining();
    await drained;
  };

  return {
    containers: docker.whole,
    notReady,
    status() {
      const observed = docker.current();
      const engine = observed.known ? observed.value : undefined;
      const wish = wishes.current();
      return {
        docker: {
          url: options.docker,
          id: engine?.id,
          apiVersion: engine?.apiVersion,
          problem: observed.problem?.error.message,
          staleSeconds: staleSince === undefined ? 0 : Math.round((monotonic() - staleSince) / 1000),
        },
        node: wish?.owner.node,
        instances: (wish?.instances ?? []).map((instance) => {
          const started = engine?.containers.get(instance.container?.id ?? "")?.started;
          return { ...statusRecord(instance), ...(started !== undefined && { started }) };
        }),
        overrides: overrides.inForce().filter(({ target }) => target.node === wish?.owner.node),
        remarks: report.current(),
        backends: reconcilers.map((reconciler) => reconciler.status()),
      };
    },
    synced: readiness.synced,
    refresh() {
      docker.refresh();
      for (const reconciler of reconcilers) reconciler.refresh();
    },
    drain,
    async stop(hurry) {
      // Asked once: a restart may become the end while this goes on, and that calls again.
      const { onExit } = settings;
      await drain(hurry);
      ended = true;
      handingOver = onExit === "keep";
      await Promise.all([docker.close(), roles.close(), overrides.close()]);
      await Promise.all(
        reconcilers.map((reconciler) => reconciler.stop(onExit === "keep" ? "keep" : "deregister")),
      );
    },
  };
}
