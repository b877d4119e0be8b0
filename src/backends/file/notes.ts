import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { deadline, monotonic, pause } from "../../clock.ts";
import type { HeldNote, Notes } from "../backend.ts";
import { createNotes, type NotePlace } from "../notes.ts";
import { createFileCalls } from "./calls.ts";
import { createFileKv } from "./keys.ts";
import { createFileLock } from "./lock.ts";
import {
  type FileLayout,
  firstBeat,
  makeFolder,
  putFile,
  readText,
  remove,
  rewrite,
  unwritable,
} from "./store.ts";

/** The name by which half-written notes are told from a registrator's files. */
const writer = "notes";
/** Seconds after which nobody waits any more for one who was to exchange a note, and ended before he did. */
const exchangeTtl = 3;
/** ms between two looks whether another one has done it. */
const patience = 10;
/** The beginning of the names of heartbeats. No encoded name holds a comma. */
const mark = ".beat,";

/** The heartbeat of a held note. */
interface Beat {
  /** Random for each holder. */
  readonly run: string;
  /** Seconds without another beat after which the holder is dead. */
  readonly ttl: number;
  readonly beat: number;
}

/**
 * The notes of an area as the files `<folder>/<name>`, which hold their texts. Beside one that is held stands its
 * heartbeat `.beat,<name>`, and everybody judges on his own clock whether it beats.
 */
export function createFileNotes(
  title: string,
  layout: FileLayout,
  folder: string,
): Notes & { close(): void } {
  const lives = createJudge();
  const kv = createFileKv(title, layout, { folder, plain: true, shows: (file) => lives(beatOf(file)) });

  /** Removes what dead holders left. One that still lives after all makes it again. */
  const removeDead = async () => {
    for (const name of await readdir(folder)) {
      if (!name.startsWith(mark) || (await lives(join(folder, name)))) continue;
      await remove(join(folder, name.slice(mark.length)));
      await remove(join(folder, name));
    }
  };

  /** One at a time: of files none compares and sets. */
  const exchange: NotePlace["exchange"] = async (key, before, after, signal) => {
    const contender = randomBytes(8).toString("hex");
    const name = `notes/${basename(folder)}`;
    const lock = createFileLock(title, dirname(folder), { name, contender, ttl: exchangeTtl });
    while (!(await lock.renew(signal)).held) await pause(patience, signal);
    try {
      if ((await kv.get(key, signal)) !== before) return false;
      await (after === undefined ? kv.remove(key, signal) : kv.put(key, after, signal));
      return true;
    } finally {
      await lock.release(deadline(exchangeTtl * 1000));
    }
  };

  const notes = createNotes(kv, {
    path: "",
    exchange,
    hold: (name, ttl) => holdFile(title, join(folder, name), ttl, removeDead),
  });
  return { ...notes, close: kv.close };
}

/** A note and its heartbeat: the heartbeat comes first and goes last, so that no note seems to stay for ever. */
function holdFile(title: string, file: string, ttl: number, removeDead: () => Promise<void>): HeldNote {
  const run = randomBytes(8).toString("hex");
  const call = createFileCalls(title);
  const encode = (beat: number) => `${JSON.stringify({ run, ttl, beat } satisfies Beat)}\n`;
  /** When we last beat, on our own clock. */
  let beaten = Number.NEGATIVE_INFINITY;

  /** Beats in our heartbeat; false where there is none. */
  const beat = async (): Promise<boolean> => {
    let ours = false;
    await rewrite(beatOf(file), (text) => {
      const found = decode(text);
      ours = found?.run === run;
      return ours && found ? encode(found.beat + 1) : undefined;
    });
    return ours;
  };

  return {
    renew: (text, signal) =>
      call(signal, async () => {
        const late = monotonic() - beaten > ttl * 1000;
        const stands = await beat();
        if (!stands) {
          await makeFolder(dirname(file));
          await putFile(beatOf(file), encode(firstBeat), writer, "replace");
        }
        beaten = monotonic();
        if ((await readText(file)) !== text) await putFile(file, text, writer, "replace");
        await removeDead();
        return { ttl, fresh: late || !stands };
      }),

    release: (signal) =>
      call(signal, async () => {
        beaten = Number.NEGATIVE_INFINITY;
        if (decode((await readText(beatOf(file))) ?? "")?.run !== run) return;
        await remove(file);
        await remove(beatOf(file));
      }),
  };
}

const beatOf = (file: string) => join(dirname(file), `${mark}${basename(file)}`);

/** Whether a heartbeat still beats, as far as it was looked at. Where there is none, nothing has to beat. */
function createJudge(): (path: string) => Promise<boolean> {
  const seen = new Map<string, { readonly text: string; readonly since: number; readonly dead: boolean }>();
  return async (path) => {
    const text = await readText(path);
    const last = seen.get(path);
    if (text === undefined) {
      seen.delete(path);
      return true;
    }
    const now = last?.text === text ? last : { text, since: monotonic(), dead: false };
    seen.set(path, now);
    const ttl = (decode(text)?.ttl ?? 0) * 1000;
    if (now.dead || monotonic() - now.since <= ttl) return !now.dead;
    // Whoever cannot beat because nobody can write there is not dead, and has as much time again afterwards.
    const dead = (await unwritable(dirname(path))) === undefined;
    seen.set(path, { text, since: monotonic(), dead });
    return !dead;
  };
}

function decode(text: string): Beat | undefined {
  try {
    const { run, ttl, beat } = JSON.parse(text) as Partial<Record<keyof Beat, unknown>>;
    const valid = typeof run === "string" && typeof ttl === "number" && typeof beat === "number";
    return valid ? { run, ttl, beat } : undefined;
  } catch {
    return undefined;
  }
}
