import { readPidfile, sendSignal } from "./pidfile.ts";
import type { Reloader } from "./reloader.ts";

/** Sends a signal to the process in a pidfile, which is read each time. Sent is accepted: no proxy answers. */
export function signalReload(name: NodeJS.Signals, pidfile: string): Reloader {
  return async () => {
    sendSignal(name, await readPidfile(name, pidfile), pidfile);
    return { accepted: "reload" };
  };
}
