import type { Daemon } from "../daemon.ts";
import { watchDocker } from "../registrator/watch.ts";
import { afterFirstLook } from "./after-first-look.ts";
import type { Context } from "./context.ts";
import { previewRegistrations, registratorSettings, startWith as startRegistrator } from "./registrator.ts";
import { type Parts, runDaemon, urlsOf } from "./run-daemon.ts";
import { startWith as startTemplater } from "./templater.ts";

/**
 * `portolan agent`: both daemons over one backend. With `--dry-run` it prints what the registrator would change in
 * the backend, then what the templater would write of what the backend holds. What it registers in its own memory
 * changes nothing for anybody, so there the templater shows what would come of it.
 */
export async function runAgent(context: Context): Promise<number> {
  const { settings } = context;
  const isOwnMemory = urlsOf(settings).every((url) => url === "memory:");
  if (!settings.values.dryRun || isOwnMemory) return runDaemon(context, startAgent);
  const code = await previewRegistrations(context);
  return code === 0 ? runDaemon(context, previewFiles) : code;
}

/** The templater alone, over the containers that a Docker has. */
function previewFiles(parts: Parts, context: Context): Daemon {
  const settings = registratorSettings(parts.settings, parts.restarting);
  const docker = watchDocker(parts.settings.values.docker, settings, context);
  const templater = orEnd(docker.close, () => startTemplater(parts, context, docker.whole));
  return {
    ...templater,
    async stop(hurry) {
      await templater.stop(hurry);
      await docker.close();
    },
  };
}

/**
 * Starts both. Over `memory:` the templater is shown nothing before the registrator is in sync for the first time: it has
 * read its templates by then. When the templater cannot be started, the registrator ends, and leaves what is registered to
 * the daemon that is started instead.
 */
export function startAgent(parts: Parts, context: Context): Daemon {
  let isGivenUp = false;
  const restarting = () => isGivenUp || parts.restarting();
  const registrator = startRegistrator({ ...parts, restarting }, context);
  const ending = new AbortController();
  const seen = registrator.synced(ending.signal);
  // Whoever waits for it is told as well.
  seen.catch(() => {});
  const shown = parts.backends.map((backend) =>
    backend.capabilities.expiry === "none" ? afterFirstLook(backend, seen) : backend,
  );
  const end = () => {
    isGivenUp = true;
    ending.abort();
    return registrator.stop();
  };
  const templater = orEnd(end, () =>
    startTemplater({ ...parts, backends: shown }, context, registrator.containers),
  );

  return {
    notReady: () => [...registrator.notReady(), ...templater.notReady()],
    status: () => ({ registrator: registrator.status(), templater: templater.status() }),
    async synced(signal) {
      await registrator.synced(signal);
      await templater.synced(signal);
    },
    refresh() {
      registrator.refresh();
      templater.refresh();
    },
    // The templater first: it must not render what the registrator takes away at its end. It looks no more once
    // its stop has begun, and both have to leave within the same 5 s. A drain comes before all that: it is for
    // the proxies, and this templater is who tells them.
    async stop(hurry) {
      ending.abort();
      await registrator.drain?.(hurry);
      await Promise.all([templater.stop(), registrator.stop(hurry)]);
    },
  };
}

/** What `start` gives; when it throws, what was begun before it is ended. */
function orEnd<T>(end: () => Promise<void>, start: () => T): T {
  try {
    return start();
  } catch (error) {
    void end().catch(() => {});
    throw error;
  }
}
