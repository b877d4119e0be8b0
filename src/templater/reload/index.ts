import type { Reload } from "../target.ts";
import { commandReload } from "./command.ts";
import { none } from "./none.ts";
import type { Reloader } from "./reloader.ts";
import { signalReload } from "./signal.ts";

export type { ReloadContext, Reloader } from "./reloader.ts";

/** The reloader of a target. */
export function reloaderOf(reload: Reload): Reloader {
  switch (reload.kind) {
    case "none":
      return none;
    case "command":
      return commandReload(reload.command);
    case "signal":
      return signalReload(reload.name, reload.pidfile);
  }
}
