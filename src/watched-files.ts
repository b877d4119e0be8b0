import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { watch as watchFolders } from "chokidar";
import { after, pause } from "./clock.ts";

/** What is watched; absolute paths. */
export interface Watched {
  /** Files, there or not. */
  readonly files: ReadonlySet<string>;
  /** Folders whose files are watched: those with a name that the watch is for. */
  readonly folders: ReadonlySet<string>;
}

/** A watch of files that people edit. */
export interface FileWatch {
  /**
   * Replaces what is watched. Resolves when it is known how all of it stands: whatever changes after that is told.
   * Never rejects.
   */
  watch(watched: Watched): Promise<void>;
  /** Ends it; nothing is told any more. */
  close(): Promise<void>;
}

/** ms between two looks, for what no event tells: network file systems, exchanged links, exhausted inotify. */
const pollEvery = 2_000;

/** ms that a file has to stay as it is before a change is told: an editor may be in the middle of it. */
const quiet = 50;

/** What templates and partials are called. */
const templateNames = /^[^.].*\.hbs$/;

/**
 * Tells of files that come, go or change, by their paths; in folders of those called as `names` says. Events are nudges to look; what counts is how the files
 * stand: their size, times and inodes, links followed. A folder that does not exist holds no files.
 */
export function watchFiles(
  changed: (paths: ReadonlySet<string>) => void,
  names: RegExp = templateNames,
): FileWatch {
  const closing = new AbortController();
  const { signal } = closing;
  let watched: Watched = { files: new Set(), folders: new Set() };
  let known: ReadonlyMap<string, string> = new Map();
  let events: ReturnType<typeof watchFolders> | undefined;
  let cancelPoll = () => {};
  let last: Promise<void> = Promise.resolve();
  let isNudged = false;

  /** One after the other, so that two looks never tell the same. */
  const inTurn = (work: () => Promise<void>) => {
    last = last.then(() => (signal.aborted ? undefined : work())).catch(() => {});
    return last;
  };

  const look = async () => {
    isNudged = false;
    let now = await fingerprints(watched, names);
    if (differing(known, now).size === 0) return;
    for (let tries = 0; tries < 20; tries++) {
      await pause(quiet, signal);
      const next = await fingerprints(watched, names);
      const isQuiet = differing(now, next).size === 0;
      now = next;
      if (isQuiet) break;
    }
    const paths = differing(known, now);
    known = now;
    if (paths.size > 0 && !signal.aborted) changed(paths);
  };

  const nudge = () => {
    if (isNudged || signal.aborted) return;
    isNudged = true;
    void inTurn(look);
  };

  const poll = () => {
    nudge();
    cancelPoll = after(pollEvery, poll);
  };

  const follow = (next: Watched) => {
    const folders = new Set([...next.folders, ...[...next.files].map(dirname)]);
    if (!events) {
      // The folders' own watches tell of their files.
      const ignored = (_path: string, stats?: { isFile(): boolean }) => stats?.isFile() ?? false;
      events = watchFolders([...folders], { ignoreInitial: true, depth: 0, ignored });
      events.on("raw", nudge);
      events.on("all", nudge);
      // What it cannot watch is polled.
      events.on("error", nudge);
      cancelPoll = after(pollEvery, poll);
      return;
    }
    const before = new Set([...watched.folders, ...[...watched.files].map(dirname)]);
    events.add([...folders].filter((folder) => !before.has(folder)));
    events.unwatch([...before].filter((folder) => !folders.has(folder)));
  };

  return {
    watch: (next) =>
      inTurn(async () => {
        follow(next);
        const now = await fingerprints(next, names);
        const prints = new Map<string, string>();
        for (const path of new Set([...now.keys(), ...known.keys()])) {
          if (!isWatched(path, next, names)) continue;
          // What was watched before is compared with how it was seen last, by the next look.
          const print = (isWatched(path, watched, names) ? known : now).get(path);
          if (print !== undefined) prints.set(path, print);
        }
        known = prints;
        watched = next;
        nudge();
      }),
    async close() {
      closing.abort();
      cancelPoll();
      await events?.close();
    },
  };
}

function isWatched(path: string, { files, folders }: Watched, names: RegExp): boolean {
  return files.has(path) || (names.test(basename(path)) && folders.has(dirname(path)));
}

/** The paths that are in one only, or differ. */
function differing(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): ReadonlySet<string> {
  return new Set([...a.keys(), ...b.keys()].filter((path) => a.get(path) !== b.get(path)));
}

/** How each file stands; those that are not there have no entry. */
async function fingerprints(
  { files, folders }: Watched,
  names: RegExp,
): Promise<ReadonlyMap<string, string>> {
  const lists = await Promise.all(
    [...folders].map(async (folder) => {
      const all = await readdir(folder).catch(() => []);
      return all.filter((name) => names.test(name)).map((name) => join(folder, name));
    }),
  );
  const found = new Map<string, string>();
  await Promise.all(
    [...new Set([...files, ...lists.flat()])].map(async (path) => {
      const now = await stat(path, { bigint: true }).catch(() => undefined);
      if (now) found.set(path, [now.dev, now.ino, now.size, now.mtimeNs, now.ctimeNs].join());
    }),
  );
  return found;
}
