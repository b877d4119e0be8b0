import { randomUUID } from "node:crypto";
import type { Backend, Owner } from "../backends/backend.ts";
import { createReadiness, type Daemon } from "../daemon.ts";
import type { Log } from "../log.ts";
import { desired } from "./desired.ts";
import { type Engine, observeDocker } from "./docker.ts";
import { hostAddress } from "./host-address.ts";
import { readLabels } from "./labels.ts";
import { reconcile, type Wish } from "./reconcile.ts";
import { createReporter } from "./report.ts";
import type { RegistratorSettings } from "./settings.ts";

/** What a registrator is made of. */
export interface RegistratorOptions {
  /** Docker's URL. */
  readonly docker: string;
  readonly backends: readonly Backend[];
  readonly settings: RegistratorSettings;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
}

/** Keeps the backends equal to what runs on one Docker. Closes neither the backends nor the log. */
export function startRegistrator(options: RegistratorOptions): Daemon {
  const { settings, env, log } = options;
  const run = randomUUID();
  const report = createReporter(log);

  const docker = observeDocker({
    url: options.docker,
    env,
    resync: settings.resync,
    readable: (name) => name.startsWith(settings.labelPrefix),
    stoppingFor: (container) => {
      const drain = readLabels(container, undefined, settings.labelPrefix).get("drain")?.value ?? "";
      const seconds = /^(\d+)(ms|s|m)?$/.exec(drain);
      const scale = { ms: 1, s: 1000, m: 60_000 }[seconds?.[2] ?? "s"] ?? 1000;
      return Math.max(Number(seconds?.[1] ?? 0) * scale, container.stopTimeoutSeconds * 1000, 60_000);
    },
  });

  let last: { engine: Engine; address: string; wish: Wish } | undefined;
  let lastAddress: string | undefined;
  /** What the backends should hold now. Computed once per change of Docker or of the host's address. */
  const wish = (): Wish | undefined => {
    const observed = docker.current();
    if (!observed.known) return undefined;
    const engine = observed.value;
    const address = hostAddress(settings.ip, env, engine);
    report.hostAddress(address);
    // An address that is not known at present is no reason to remove what is registered under the one before.
    if (typeof address === "string") lastAddress = address;
    const usable = lastAddress ?? address;
    if (typeof usable !== "string" && !settings.internal) return undefined;
    const key = JSON.stringify(usable);
    if (last?.engine === engine && last.address === key) return last.wish;
    const { instances, remarks } = desired(engine, settings, usable);
    report.remarks(remarks);
    const owner: Owner = { node: settings.node ?? engine.hostname, engine: engine.id, run };
    last = { engine, address: key, wish: { owner, instances, unread: engine.unread } };
    return last.wish;
  };

  const reconcilers = options.backends.map((backend) =>
    reconcile({
      backend,
      wish,
      ttlSeconds: settings.ttlSeconds,
      resync: settings.resync,
      log,
      changed: () => readiness.changed(),
    }),
  );
  docker.subscribe(() => {
    const observed = docker.current();
    const { problem, known } = observed;
    report.docker(problem, known);
    if (observed.known) report.unread(observed.value.unread);
    if (known) for (const reconciler of reconcilers) reconciler.nudge();
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

  return {
    notReady,
    status() {
      const observed = docker.current();
      const engine = observed.known ? observed.value : undefined;
      return {
        docker: {
          url: options.docker,
          id: engine?.id,
          apiVersion: engine?.apiVersion,
          problem: observed.problem?.error.message,
        },
        node: last?.wish.owner.node,
        instances: last?.wish.instances ?? [],
        remarks: report.current(),
        backends: reconcilers.map((reconciler) => reconciler.status()),
      };
    },
    synced: readiness.synced,
    refresh() {
      docker.refresh();
      for (const reconciler of reconcilers) reconciler.refresh();
    },
    async stop() {
      await docker.close();
      await Promise.all(
        reconcilers.map((reconciler) => reconciler.stop(settings.onExit === "keep" ? "keep" : "deregister")),
      );
    },
  };
}
