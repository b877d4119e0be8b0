import { hostname } from "node:os";
import type { Daemon } from "../daemon.ts";
import type { TemplaterStatus } from "../daemon-status.ts";
import { PortolanError } from "../errors.ts";
import type { LocalContainerSource } from "../local-containers.ts";
import { startTemplater } from "../templater/index.ts";
import type { Context } from "./context.ts";
import { ownContainer } from "./own-container.ts";
import { createPreview } from "./preview.ts";
import { type Parts, runDaemon } from "./run-daemon.ts";

/** `portolan templater`. */
export function runTemplater(context: Context): Promise<number> {
  return runDaemon(context, (parts, inside) => startWith(parts, inside));
}

/** Starts a templater as the settings say; `agent` does the same, and lets it read the containers of this host. */
export function startWith(
  { settings, backends, state, meter, restarting }: Parts,
  { env, log, print }: Context,
  containers?: LocalContainerSource,
): Daemon<TemplaterStatus> {
  const [backend] = backends;
  if (backend === undefined) throw new PortolanError("USAGE", "a templater needs a backend");
  const preview = settings.values.dryRun ? createPreview(print, log) : undefined;
  const daemon = startTemplater({
    backend,
    targets: settings.targets,
    state,
    env,
    node: settings.values.node ?? hostname(),
    restarting,
    log,
    meter,
    ...(containers && { containers, ownContainer: ownContainer() }),
    ...(preview && { preview: preview.show }),
  });
  if (!preview) return daemon;
  return {
    ...daemon,
    async stop() {
      await daemon.stop();
      await preview.printed();
    },
  };
}
