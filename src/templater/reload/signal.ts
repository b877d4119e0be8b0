import { laterThan, readPidfile, sendSignal } from "./pidfile.ts";
import type { Reloader } from "./reloader.ts";

/** Sends a signal to the process in a pidfile, which is read each time. Sent is accepted: no proxy answers. */
export function signalReload(name: NodeJS.Signals, pidfile: string): Reloader {
  return async () => {
    const pid = await readPidfile(name, pidfile, (found) => laterThan(pidfile, found));
    sendSignal(name, pid, pidfile);
    return { accepted: "reload" };
  };
}
