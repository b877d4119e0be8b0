import type { Settings } from "../config/settings.ts";
import { startRegistrator } from "../registrator/index.ts";
import type { RegistratorSettings } from "../registrator/settings.ts";
import type { Context } from "./context.ts";
import { type Parts, runDaemon, type Start } from "./run-daemon.ts";

/** `portolan registrator`. */
export function runRegistrator(context: Context): Promise<number> {
  return runDaemon(context, startWith);
}

/** Starts a registrator as the settings say; `agent` does the same. */
export const startWith: Start = ({ settings, backends, restarting }: Parts, { env, log }) =>
  startRegistrator({
    docker: settings.values.docker,
    backends,
    settings: registratorSettings(settings, restarting),
    env,
    log,
  });

/** While the daemon is only started anew, its records are kept, whatever `--on-exit` says. */
function registratorSettings({ values }: Settings, restarting: () => boolean): RegistratorSettings {
  const { node, ip, internal, network, explicit, tags, ttl, resync, onExit, select, labelPrefix } = values;
  const { name, useIpFromLabel, deregister, requireHealthy, compat, adopt, allowCheckScripts } = values;
  return {
    node,
    ip,
    internal,
    network,
    explicit,
    tags,
    name,
    useIpFromLabel,
    deregister,
    requireHealthy,
    compat,
    adopt,
    allowCheckScripts,
    ttlSeconds: Math.ceil(ttl / 1000),
    resync,
    get onExit() {
      return restarting() ? "keep" : onExit;
    },
    select,
    labelPrefix,
  };
}
