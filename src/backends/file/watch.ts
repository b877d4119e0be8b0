import { stat } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { watch as watchFolders } from "chokidar";
import { after, monotonic } from "../../clock.ts";
import { limited } from "../limited.ts";
import { createObservers, type Observers } from "../observers.ts";
import { problemOf } from "../problem.ts";
import { createRecords } from "../records.ts";
import {
  decodeNode,
  type FileLayout,
  fileError,
  fingerprint,
  listFolder,
  makeFolder,
  onEach,
  readText,
  unwritable,
} from "./store.ts";

/** Milliseconds between two looks at the folders, for what their watch did not tell. */
const pollEvery = 1_000;

/** So many of them are left out while nothing happens, and the watch has told of the last heartbeat. */
const mostLeftOut = 9;

/** Files that one look reads a second time at most, only to be sure of them. */
const mostRereads = 500;

/** A node file as it was seen. */
interface Heartbeat {
  readonly text: string;
  /** Its owner, and the one whose records it has taken over. */
  readonly owners: readonly string[];
  /** Milliseconds without a change after which the owner is dead; perhaps infinite. */
  readonly ttl: number;
  /** When this text was first seen, on our own clock. */
  readonly since: number;
  readonly dead: boolean;
}

/** The watch of one folder. */
export interface FileWatch extends Observers {
  /** Which nodes' owners beat, as far as was seen; none while nothing is observed. Rejects while the folder is away. */
  living(nodes: ReadonlySet<string>, signal: AbortSignal): Promise<ReadonlySet<string>>;
}

/** What is to be read: everything, whatever was written since the last look, or some paths. */
type Work = { all: "no" | "changed" | "all"; readonly paths: Set<string> };

/**
 * Shows the records below `layout.services` whose owner's heartbeat in `layout.nodes` still beats.
 *
 * The watch of the folders is a nudge: it names a path, and the path is read. It loses events (folders that
 * are made and filled at once, an exhausted inotify, a file system without it), so the folders are looked at
 * too: every write renames a file, which changes the time of its folder. Each folder of a service costs a call, so
 * they are looked at every second after a change, and wherever the watch has failed or was silent about a
 * heartbeat; else every ten seconds.
 */
export function createFileWatch(title: string, layout: FileLayout, onlyLooks = false): FileWatch {
  const records = createRecords();
  /** The paths of the records by their folders. */
  const folders = new Map<string, Set<string>>();
  const heartbeats = new Map<string, Heartbeat>();
  const fingerprints = createFingerprints();
  let alive: ReadonlySet<string> = new Set();
  /** How often a record's file was read. */
  let reads = 0;
  /** Whether owners were spared because nobody could beat. */
  let stuck = false;
  /** Files that this look may still read a second time. */
  let rereads = mostRereads;
  /** Told after each file that was read: thousands of them may take longer than one call may. */
  let goesOn = () => {};
  let stop = () => {};
  let refresh = () => {};

  const observers = createObservers(records, {
    start: () => start(),
    stop: () => stop(),
    refresh: () => refresh(),
    // A record that names no owner was put there by hand, and stays until it is taken away by hand.
    visible: ({ owner }) => owner === undefined || alive.has(owner),
  });

  const readRecord = async (path: string) => {
    reads += 1;
    const print = await fingerprint(path);
    const text = print === undefined ? undefined : await readText(path);
    if (text === undefined) forget(path);
    else {
      records.put(path, text);
      const folder = folders.get(dirname(path));
      if (folder) folder.add(path);
      else folders.set(dirname(path), new Set([path]));
    }
    fingerprints.read(path, text === undefined ? undefined : print);
    goesOn();
  };

  const forget = (path: string) => {
    records.delete(path);
    const folder = folders.get(dirname(path));
    folder?.delete(path);
    if (folder?.size === 0) folders.delete(dirname(path));
  };

  const readHeartbeat = async (path: string) => {
    const text = await readText(path);
    const node = text === undefined ? undefined : decodeNode(text);
    if (text === undefined || !node) heartbeats.delete(path);
    else if (heartbeats.get(path)?.text !== text) {
      const { owner, inherits, ttl } = node;
      const owners = inherits === undefined ? [owner] : [owner, inherits];
      const within = ttl === 0 ? Number.POSITIVE_INFINITY : ttl * 1000;
      heartbeats.set(path, { text, owners, ttl: within, since: monotonic(), dead: false });
    }
  };

  /** Resolves with the paths of those that have changed. */
  const readHeartbeats = async (): Promise<readonly string[]> => {
    const listed = (await mustList(layout.nodes)).map((name) => join(layout.nodes, name));
    const paths = [...new Set([...heartbeats.keys(), ...listed])];
    const before = paths.map((path) => heartbeats.get(path)?.text);
    for (const path of paths) await readHeartbeat(path);
    return paths.filter((path, index) => heartbeats.get(path)?.text !== before[index]);
  };

  /** Whose records each claim speaks for. */
  const claims = () => JSON.stringify([...heartbeats].map(([path, { owners }]) => [path, owners]));

  /** Reads one service's folder: its names if it changed, its files if they did. */
  const readService = async (dir: string, all: boolean) => {
    const print = await fingerprint(dir);
    goesOn();
    if (!all && print !== undefined) {
      if (fingerprints.proves(dir, print)) return;
      // Most likely nothing was written; that may be seen by one of the next looks.
      if (fingerprints.knows(dir, print) && rereads <= 0) return;
    }
    const paths = (print === undefined ? [] : ((await listFolder(dir)) ?? [])).map((name) => join(dir, name));
    const listed = new Set(paths);
    const gone = [...(folders.get(dir) ?? [])].filter((path) => !listed.has(path));
    await onEach(gone, readRecord);
    const files = paths.filter((path) => path.endsWith(".json"));
    if (print !== undefined && fingerprints.knows(dir, print)) rereads -= files.length;
    await onEach(files, async (path) => {
      const now = await fingerprint(path);
      if (now === undefined || !fingerprints.proves(path, now)) await readRecord(path);
    });
    fingerprints.read(dir, print);
  };

  const readServices = async (all: boolean) => {
    const names = await mustList(layout.services);
    const listed = names.map((name) => join(layout.services, name));
    await onEach([...new Set([...listed, ...folders.keys()])], (dir) => readService(dir, all));
  };

  /** A path that the watch told of. Nothing below `services` and `nodes` is deeper than this. */
  const readPath = async (path: string) => {
    const [folder, ...names] = relative(join(layout.services, ".."), path).split(sep);
    if (folder === "nodes" && names.length === 1) await readHeartbeat(path);
    else if (folder === "services" && names.length === 1) await readService(path, true);
    else if (folder === "services" && names.length === 2 && path.endsWith(".json")) await readRecord(path);
  };

  /** Rejects where owners seem to be dead, and may only be unable to beat: that is an outage of the folder. */
  const assertCanBeat = async (at: number) => {
    const silent = [...heartbeats].filter(([, beat]) => !beat.dead && at - beat.since >= beat.ttl);
    if (silent.length > 0) {
      const why = await unwritable(layout.nodes);
      if (why !== undefined) {
        stuck = true;
        throw new Error(`${why}: no registrator can beat there`);
      }
    }
    if (!stuck) return;
    stuck = false;
    // Those who could not beat until now get as much time as after any other beat.
    for (const [path, beat] of silent) heartbeats.set(path, { ...beat, since: monotonic() });
  };

  /** Finds those dead at a moment after which all the heartbeats that were due have been read again. */
  const bury = (at: number) => {
    for (const [path, beat] of heartbeats) {
      if (!beat.dead && at - beat.since >= beat.ttl) heartbeats.set(path, { ...beat, dead: true });
    }
    alive = new Set([...heartbeats.values()].filter((beat) => !beat.dead).flatMap((beat) => beat.owners));
  };

  /** Starts to watch and read, until `stop`. */
  const start = () => {
    let work: Work = { all: "all", paths: new Set() };
    let working = false;
    const ended = new AbortController();
    /** After a failed pass nothing is shown before everything has been read again. */
    let broken = true;
    let cancelPoll = () => {};
    let cancelDeath = () => {};
    let endWatch = () => {};
    /** Whether the watch has told of the last heartbeat that was seen, and has not failed anywhere. */
    let isTelling = false;
    let hasFailed = false;
    /** Whether it has told of a record since the folders were looked at. */
    let isBusy = false;
    let leftOut = 0;

    const pass = async ({ all, paths }: Work) => {
      const begun = monotonic();
      rereads = mostRereads;
      const due = [...heartbeats].filter(([, beat]) => !beat.dead && begun - beat.since >= beat.ttl);
      for (const [path] of due) paths.add(path);
      // An heir takes over the claim and then the records, perhaps between our reading of the one and of the others.
      let scope = all;
      let claimed: string;
      do {
        const readBefore = reads;
        if (scope !== "no") {
          if ((await readHeartbeats()).some((path) => !paths.has(path))) isTelling = false;
          await readServices(scope === "all");
        }
        for (const path of paths) await readPath(path);
        claimed = claims();
        if (reads > readBefore) await readHeartbeats();
        if (scope === "no") scope = "changed";
      } while (claims() !== claimed);
      // What is absent because its whole folder is gone was not removed by anybody.
      for (const dir of [layout.services, layout.nodes]) await mustList(dir);
      await assertCanBeat(begun);
      return begun;
    };

    const run = async () => {
      if (working) return;
      working = true;
      while (!ended.signal.aborted && (work.all !== "no" || work.paths.size > 0)) {
        const now = broken ? { ...work, all: "all" as const } : work;
        work = { all: "no", paths: new Set() };
        try {
          const begun = await limited(
            ended.signal,
            (_over, tell) => {
              goesOn = tell;
              return pass(now);
            },
            (error) => fileError(title, error),
          );
          broken = false;
          bury(begun);
          observers.publish();
          waitForDeath();
        } catch (error) {
          if (ended.signal.aborted) break;
          broken = true;
          observers.fail(problemOf(fileError(title, error)));
        }
      }
      working = false;
    };

    const nudge = (all: Work["all"], path?: string) => {
      if (ended.signal.aborted) return;
      if (path !== undefined) work.paths.add(path);
      if (all === "all" || (all === "changed" && work.all === "no")) work.all = all;
      void run();
    };

    /** Looks again when the next owner would be dead. */
    const waitForDeath = () => {
      cancelDeath();
      const dues = [...heartbeats.values()]
        .filter((beat) => !beat.dead && Number.isFinite(beat.ttl))
        .map((beat) => beat.since + beat.ttl);
      if (dues.length === 0) return;
      // The extra millisecond is for timers that are early by a fraction of one.
      cancelDeath = after(Math.max(0, Math.min(...dues) - monotonic()) + 1, () => nudge("changed"));
    };

    const watch = () => {
      isTelling = false;
      hasFailed = false;
      const watcher = watchFolders([layout.services, layout.nodes], {
        ignoreInitial: true,
        // The folders' own watches tell of their files.
        ignored: (_path, stats) => stats?.isFile() ?? false,
      });
      watcher.on("raw", (_event, name, details) => {
        const dir = (details as { readonly watchedPath?: string }).watchedPath;
        isTelling = true;
        isBusy ||= dir !== layout.nodes;
        if (!name || !dir) nudge("changed");
        // Temporary files announce nothing that their renaming does not.
        else if (!name.startsWith(".")) nudge("no", join(dir, name));
      });
      // A folder may have been filled before it was watched.
      watcher.on("addDir", (path) => nudge("no", path));
      watcher.on("ready", () => nudge("changed"));
      // What it cannot watch is polled.
      watcher.on("error", () => {
        hasFailed = true;
        nudge("changed");
      });
      return () => void watcher.close();
    };

    const poll = async () => {
      // A watch follows the folders that it began with, not those that take their names later.
      const now = await identity(layout).catch(() => undefined);
      if (ended.signal.aborted) return;
      if (now !== watched) {
        watched = now;
        endWatch();
        endWatch = now === undefined ? () => {} : watch();
      }
      if (broken || hasFailed || !isTelling || isBusy || leftOut === mostLeftOut) {
        leftOut = 0;
        isBusy = false;
        nudge(broken ? "all" : "changed");
      } else leftOut += 1;
      cancelPoll = after(pollEvery, () => void poll());
    };
    let watched: string | undefined;

    stop = () => {
      ended.abort();
      cancelPoll();
      cancelDeath();
      endWatch();
      for (const path of [...records.keys()]) forget(path);
      heartbeats.clear();
      fingerprints.clear();
    };
    refresh = () => nudge("all");

    // A reader may be there before the first registrator. Later only registrators make the folders: one that
    // vanishes under a reader is a fault, not an empty registry.
    const begin = onlyLooks ? [] : [layout.services, layout.nodes];
    void Promise.all(begin.map(makeFolder))
      .catch(() => {})
      .then(() => poll());
  };

  return {
    ...observers,
    living: (nodes, signal) =>
      limited(
        signal,
        async () => {
          await mustList(layout.nodes);
          return new Set([...nodes].filter((node) => heartbeats.get(layout.node(node))?.dead === false));
        },
        (error) => fileError(title, error),
      ),
  };
}

/** Tells whether the folders are the same ones as before; undefined when one is missing. */
async function identity(layout: FileLayout): Promise<string> {
  const folders = await Promise.all([stat(layout.services), stat(layout.nodes)]);
  return folders.map(({ dev, ino }) => `${dev}:${ino}`).join();
}

/** Like listFolder; rejects when there is no folder. */
async function mustList(dir: string): Promise<readonly string[]> {
  const names = await listFolder(dir);
  if (names) return names;
  throw new Error(`${dir} is missing; a registrator makes it again`);
}

/**
 * Fingerprints of what was read, by path. File times move in steps of some milliseconds, so what was written
 * right after a read may carry the same one: only one that has stood through two reads proves anything.
 */
function createFingerprints() {
  const known = new Map<string, { readonly print: string; readonly reads: number }>();
  return {
    /** Notes the fingerprint that was taken right before the read; undefined when there was nothing. */
    read(path: string, print: string | undefined): void {
      const before = known.get(path);
      if (print === undefined) known.delete(path);
      else known.set(path, { print, reads: before?.print === print ? before.reads + 1 : 1 });
    },
    /** True when nothing was written since the last read. */
    proves(path: string, print: string): boolean {
      const before = known.get(path);
      return before?.print === print && before.reads > 1;
    },
    /** True when most likely nothing was written since the last read. */
    knows: (path: string, print: string): boolean => known.get(path)?.print === print,
    clear: () => known.clear(),
  };
}
