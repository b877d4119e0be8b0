import { watch as watchFolders } from "chokidar";
import { after } from "../../clock.ts";
import { fingerprint } from "./store.ts";

/** Milliseconds between two looks at the folders, for what their watch did not tell. */
const pollEvery = 1_000;

/** Whoever wants to look again when something below a folder may have changed. */
export interface FileNudge {
  /** Calls `look` at once, after each change, and every second. */
  add(look: () => void): () => void;
  close(): void;
}

/**
 * Watches a folder as long as somebody wants it. The watch is a nudge: it loses events (an exhausted inotify, a
 * file system without it, a folder that comes later), so everybody is called every second too.
 */
export function createFileNudge(dir: string): FileNudge {
  const looks = new Set<() => void>();
  let cancelPoll: (() => void) | undefined;
  let endWatch: (() => void) | undefined;
  /** Of the folder that is watched: a watch follows it when it is moved away, and not what takes its name. */
  let watched: string | undefined;

  const nudge = () => {
    for (const look of [...looks]) look();
  };
  const watch = () => {
    const watcher = watchFolders(dir, { ignoreInitial: true });
    watcher.on("all", nudge);
    // What it cannot watch is polled.
    watcher.on("error", () => {});
    return () => void watcher.close();
  };
  const poll = async () => {
    const now = (await fingerprint(dir).catch(() => undefined))?.split(":")[0];
    if (looks.size === 0) return;
    if (now !== watched) {
      endWatch?.();
      endWatch = now === undefined ? undefined : watch();
      watched = now;
    }
    nudge();
    cancelPoll = after(pollEvery, () => void poll());
  };
  const end = () => {
    cancelPoll?.();
    endWatch?.();
    cancelPoll = undefined;
    endWatch = undefined;
    watched = undefined;
  };

  return {
    add(look) {
      looks.add(look);
      if (looks.size === 1) void poll();
      else look();
      return () => {
        if (looks.delete(look) && looks.size === 0) end();
      };
    },
    close() {
      looks.clear();
      end();
    },
  };
}
