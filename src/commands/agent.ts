import { createReadiness, type Daemon } from "../daemon.ts";
import type { TemplaterStatus } from "../daemon-status.ts";
import { coded } from "../errors.ts";
import { watchDocker } from "../registrator/watch.ts";
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
 * Starts both. Over `memory:` the templater begins once the registrator is in sync for the first time: until
 * then the backend is empty because nobody has looked yet, and no file must shrink for that. When the templater cannot
 * be started, the registrator ends, and leaves what is registered to the daemon that is started instead; one that was
 * in sync before goes on alone.
 */
export function startAgent(parts: Parts, context: Context): Daemon {
  let isGivenUp = false;
  const restarting = () => isGivenUp || parts.restarting();
  const registrator = startRegistrator({ ...parts, restarting }, context);
  const ending = new AbortController();
  let templater: Daemon<TemplaterStatus> | undefined;
  let missing = "the templater waits for the first look at Docker";
  const readiness = createReadiness(() => (templater === undefined ? [missing] : []));
  const begin = () => {
    if (ending.signal.aborted) return;
    templater = startTemplater(parts, context, registrator.containers);
    readiness.changed();
  };
  if (parts.backends.some(({ capabilities }) => capabilities.expiry === "none")) {
    const failed = (err: unknown) => {
      if (ending.signal.aborted) return;
      context.log.error({ err }, "the templater cannot be started");
      missing = `the templater cannot be started: ${coded("FAILED", err).message}`;
    };
    registrator.synced(ending.signal).then(begin).catch(failed);
  } else {
    const end = () => {
      isGivenUp = true;
      return registrator.stop();
    };
    orEnd(end, begin);
  }

  return {
    notReady: () => [...registrator.notReady(), ...(templater?.notReady() ?? [missing])],
    status: () => ({ registrator: registrator.status(), templater: templater?.status() }),
    async synced(signal) {
      await registrator.synced(signal);
      await readiness.synced(signal);
      await templater?.synced(signal);
    },
    refresh() {
      registrator.refresh();
      templater?.refresh();
    },
    // The templater first: it must not render what the registrator takes away at its end. It looks no more once
    // its stop has begun, and both have to leave within the same 5 s. A drain comes before all that: it is for
    // the proxies, and this templater is who tells them.
    async stop(hurry) {
      ending.abort();
      await registrator.drain?.(hurry);
      await Promise.all([templater?.stop(), registrator.stop(hurry)]);
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
