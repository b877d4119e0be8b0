import { options } from "../config/options.ts";
import type { Settings } from "../config/settings.ts";
import { type Registrator, type RegistratorOptions, startRegistrator } from "../registrator/index.ts";
import type { RegistratorSettings } from "../registrator/settings.ts";
import type { Context } from "./context.ts";
import { runDryRun } from "./dry-run.ts";
import { type Parts, runDaemon } from "./run-daemon.ts";

/** `portolan registrator`. */
export async function runRegistrator(context: Context): Promise<number> {
  const { settings, log } = context;
  const { once, dryRun, ttl, onExit } = settings.values;
  if (dryRun) return previewRegistrations(context);
  const code = await runDaemon(context, startWith);
  if (once && code === 0 && onExit === "keep") {
    const until =
      ttl > 0 ? `for up to ${ttl / 1000} s, unless the next run comes before` : "until the next run";
    log.info({}, `what is registered stays ${until}`);
  }
  return code;
}

/** What `--dry-run` does, `agent` too. */
export function previewRegistrations(context: Context): Promise<number> {
  return runDryRun(
    context,
    optionsOf(context.settings, () => false, context),
  );
}

/** Starts a registrator as the settings say; `agent` does the same. */
export function startWith(
  { settings, backends, restarting, state, meter }: Parts,
  context: Context,
): Registrator {
  return startRegistrator({ ...optionsOf(settings, restarting, context), backends, state, meter });
}

function optionsOf(
  settings: Settings,
  restarting: () => boolean,
  { env, log, linger }: Context,
): Omit<RegistratorOptions, "backends"> {
  return {
    docker: settings.values.docker,
    settings: registratorSettings(settings, restarting),
    env,
    log,
    linger,
  };
}

/** While the daemon is only started anew, its records are kept, whatever `--on-exit` says. */
export function registratorSettings({ values }: Settings, restarting: () => boolean): RegistratorSettings {
  const { node, ip, internal, network, explicit, tags, ttl, resync, onExit, select, labelPrefix } = values;
  const { name, useIpFromLabel, deregister, requireHealthy, compat, adopt, allowCheckScripts } = values;
  return {
    node,
    ip,
    internal,
    network,
    explicit,
    // Blanks around a tag belong to it for registrator only.
    tags: compat ? tags : tags.map((tag) => tag.trim()).filter(Boolean),
    name,
    useIpFromLabel,
    deregister,
    requireHealthy,
    compat,
    adopt,
    allowCheckScripts,
    probes: {
      interval: values.probeInterval,
      timeout: values.probeTimeout,
      rise: values.probeRise,
      fall: values.probeFall,
      logins: new Map(values.probeCredentials),
    },
    onPromote:
      values.onPromote.length > 0 ? { argv: values.onPromote, timeout: values.onPromoteTimeout } : undefined,
    ttlSeconds: Math.ceil(ttl / 1000),
    resync: resync || options.resync.initial,
    get onExit() {
      return restarting() ? "keep" : onExit;
    },
    select,
    labelPrefix,
  };
}
