import type { Reload } from "../target.ts";
import { commandReload } from "./command.ts";
import { containerReload } from "./container.ts";
import { haproxyReload, operationsFor, resumeDrains } from "./haproxy/index.ts";
import { httpReload } from "./http.ts";
import { inLane, spaced } from "./lane.ts";
import { nginxReload } from "./nginx.ts";
import { none } from "./none.ts";
import type { Reloader } from "./reloader.ts";
import { signalReload } from "./signal.ts";

export {
  type Change,
  type Left,
  type ReloadContext,
  ReloadError,
  type Reloaded,
  type Reloader,
} from "./reloader.ts";
export { operationsFor, resumeDrains };

/** The reloader of a target. Those of one proxy take their turns. */
export function reloaderOf(reload: Reload): Reloader {
  switch (reload.kind) {
    case "none":
      return none;
    case "command":
      return inTurn(JSON.stringify(reload.command), commandReload(reload.command));
    case "signal":
      return inTurn(reload.pidfile, signalReload(reload.name, reload.pidfile));
    case "haproxy":
      return haproxyReload(reload);
    case "nginx":
      return inTurn(reload.pidfile, nginxReload(reload));
    case "http":
      return inTurn(reload.url, httpReload(reload));
    case "container":
      return inTurn(`container ${reload.name}`, containerReload(reload));
  }
}

function inTurn(lane: string, reloader: Reloader): Reloader {
  return (context, signal) => inLane(lane, () => spaced(lane, signal, () => reloader(context, signal)));
}
