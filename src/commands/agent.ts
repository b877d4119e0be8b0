import { createReadiness, type Daemon } from "../daemon.ts";
import type { Context } from "./context.ts";
import { startWith as startRegistrator } from "./registrator.ts";
import { type Parts, runDaemon } from "./run-daemon.ts";
import { startWith as startTemplater } from "./templater.ts";

/** `portolan agent`: both daemons over one backend. */
export function runAgent(context: Context): Promise<number> {
  return runDaemon(context, startAgent);
}

/**
 * Starts both. Over `memory:` the templater begins once the registrator is in sync for the first time: until
 * then the backend is empty because nobody has looked yet, and no file must shrink for that.
 */
function startAgent(parts: Parts, context: Context): Daemon {
  const registrator = startRegistrator(parts, context);
  const ending = new AbortController();
  let templater: Daemon | undefined;
  const readiness = createReadiness(() => (templater === undefined ? ["waiting"] : []));
  const begin = () => {
    if (ending.signal.aborted) return;
    templater = startTemplater(parts, context);
    readiness.changed();
  };
  if (parts.backends.some(({ capabilities }) => capabilities.expiry === "none")) {
    registrator.synced(ending.signal).then(begin, () => {});
  } else {
    begin();
  }

  return {
    notReady: () => [
      ...registrator.notReady(),
      ...(templater?.notReady() ?? ["the templater waits for the first look at Docker"]),
    ],
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
    // its stop has begun, and both have to leave within the same 5 s.
    async stop(hurry) {
      ending.abort();
      await Promise.all([templater?.stop(), registrator.stop(hurry)]);
    },
  };
}
