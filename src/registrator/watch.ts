import type { Meter } from "../meter.ts";
import { type DockerOptions, type DockerSource, observeDocker } from "./docker/engine.ts";
import { deregisterModeOf } from "./rules/deregister-mode.ts";
import { drainOf } from "./rules/drain.ts";
import { keepsRecord } from "./rules/exit-rules.ts";
import type { RegistratorSettings } from "./settings.ts";

/** Watches one Docker as the settings of a registrator ask for it. `docker` is its URL. */
export function watchDocker(
  docker: string,
  settings: RegistratorSettings,
  {
    env,
    connect,
    meter,
  }: {
    readonly env: DockerOptions["env"];
    readonly connect?: DockerOptions["connect"] | undefined;
    readonly meter?: Meter | undefined;
  },
): DockerSource {
  return observeDocker({
    url: docker,
    env,
    resync: settings.resync,
    readable: (name) => name.startsWith(settings.labelPrefix),
    stoppingFor: (container) =>
      Math.max(drainOf(container, settings.labelPrefix) ?? 0, container.stopTimeoutSeconds * 1000, 60_000),
    keeps: (container, exitCode) =>
      keepsRecord(exitCode, deregisterModeOf(container, settings), settings.compat !== undefined),
    ...(connect && { connect }),
    meter,
  });
}
