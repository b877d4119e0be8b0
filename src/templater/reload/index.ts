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
  type Owed,
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
      return cleared(inTurn(JSON.stringify(reload.command), commandReload(reload.command)));
    case "signal":
      return cleared(inTurn(reload.pidfile, signalReload(reload.name, reload.pidfile)));
    case "haproxy":
      return haproxyReload(reload);
    case "nginx":
      return inTurn(reload.pidfile, nginxReload(reload));
    case "http":
      return cleared(inTurn(reload.url, httpReload(reload)));
    case "container":
      return cleared(inTurn(`container ${reload.name}`, containerReload(reload)));
  }
}

function inTurn(lane: string, reloader: Reloader): Reloader {
  return (context, signal) => inLane(lane, () => spaced(lane, signal, () => reloader(context, signal)));
}

/** Of those that find out nothing before they reload. */
function cleared(reloader: Reloader): Reloader {
  return async (context, signal) => (await context.clearance()) ?? reloader(context, signal);
}
