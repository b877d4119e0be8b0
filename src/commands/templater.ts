import { hostname } from "node:os";
import { PortolanError } from "../errors.ts";
import { startTemplater } from "../templater/index.ts";
import type { Context } from "./context.ts";
import { createPreview } from "./preview.ts";
import { runDaemon, type Start } from "./run-daemon.ts";

/** `portolan templater`. */
export function runTemplater(context: Context): Promise<number> {
  return runDaemon(context, startWith);
}

/** Starts a templater as the settings say; `agent` does the same. */
export const startWith: Start = ({ settings, backends, state }, { env, log, print }) => {
  const [backend] = backends;
  if (backend === undefined) throw new PortolanError("USAGE", "a templater needs a backend");
  const preview = settings.values.dryRun ? createPreview(print, log) : undefined;
  const daemon = startTemplater({
    backend,
    targets: settings.targets,
    state,
    env,
    node: settings.values.node ?? hostname(),
    log,
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
};
