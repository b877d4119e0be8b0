import { join } from "node:path";
import { monotonic } from "../../clock.ts";
import { encodeSegment } from "../../instance.ts";
import { createCell } from "../../source.ts";
import type { Lock, Tenure } from "../backend.ts";
import { limited } from "../limited.ts";
import { problemOf } from "../problem.ts";
import { createSuccession } from "../succession.ts";
import { createFileCalls } from "./calls.ts";
import { createFileNudge } from "./nudge.ts";
import { fileError, firstBeat, listFolder, makeFolder, putFile, readText, remove, rewrite } from "./store.ts";

/** What a lock's file says. */
interface Holding {
  readonly contender: string;
  /** Seconds without another beat after which the holder is dead. */
  readonly ttl: number;
  /** Also of the length of the other one. */
  readonly state: "held" | "free";
  readonly beat: number;
}

/** The latest holding of a lock, as somebody reads it. */
interface Latest {
  readonly token: number;
  readonly text: string;
  readonly holding: Holding | undefined;
}

/**
 * The files `locks/<name>/<token>`: the greatest token has the lock, until its file says that it is free or has not
 * changed for its time to live, which everybody judges on its own clock, or its contender has another process, which takes
 * it over. Taking the lock is making the
 * file of the next token, which one of all succeeds in; so the token only grows, as long as nobody removes the folder.
 */
export function createFileLock(
  title: string,
  root: string,
  { name, contender, ttl }: { readonly name: string; readonly contender: string; readonly ttl: number },
): Lock {
  const folder = join(root, "locks", encodeSegment(name));
  const call = createFileCalls(title);
  const fileOf = (token: number) => join(folder, String(token));
  const encode = (state: Holding["state"], beat: number) =>
    `${JSON.stringify({ contender, ttl, state, beat })}\n`;

  const succession = createSuccession(contender);
  let held: { readonly token: number; beat: number } | undefined;

  const tokens = async () =>
    ((await listFolder(folder)) ?? [])
      .filter((file) => /^[0-9]+$/.test(file))
      .map(Number)
      .sort((a, b) => b - a);

  const latest = async (): Promise<Latest | undefined> => {
    const [token] = await tokens();
    if (token === undefined) return undefined;
    const text = (await readText(fileOf(token))) ?? "";
    return { token, text, holding: decode(text) };
  };

  const judge = createJudge(ttl);

  /** Writes into our own file; false where somebody removed it. */
  const write = async (token: number, text: string): Promise<boolean> =>
    (await rewrite(fileOf(token), () => text)) !== undefined;

  const beat = async (): Promise<Tenure | undefined> => {
    if (!held) return undefined;
    const { token } = held;
    held.beat += 1;
    const [last] = await tokens();
    if (last === token && (await write(token, encode("held", held.beat)))) {
      return { held: true, token: String(token), ttl };
    }
    held = undefined;
    return undefined;
  };

  const take = async (): Promise<Tenure> => {
    for (;;) {
      const now = await latest();
      const holder = now && judge(now);
      if (holder !== undefined && !succession.takesFrom(holder)) return { held: false, holder };
      await makeFolder(folder);
      const token = (now?.token ?? 0) + 1;
      if (!(await putFile(fileOf(token), encode("held", firstBeat), contender, "create"))) continue;
      held = { token, beat: firstBeat };
      succession.takes(holder && String(now?.token));
      for (const old of await tokens()) if (old < token) await remove(fileOf(old));
      return { held: true, token: String(token), ttl };
    }
  };

  return {
    renew: async (signal) =>
      succession.answer(await call(signal, async () => (await beat()) ?? (await take()))),

    watch() {
      const cell = createCell<string | undefined>();
      const own = createJudge(ttl);
      const ended = new AbortController();
      const nudge = createFileNudge(folder);
      const look = async () => {
        try {
          const now = await limited(ended.signal, latest, (error) => fileError(title, error));
          if (!ended.signal.aborted) cell.set(now && own(now));
        } catch (error) {
          if (!ended.signal.aborted) cell.fail(problemOf(fileError(title, error)));
        }
      };
      nudge.add(() => void look());
      const { current, subscribe } = cell;
      return {
        current,
        subscribe,
        refresh: () => void look(),
        async close() {
          ended.abort();
          nudge.close();
        },
      };
    },

    release: (signal) =>
      call(signal, async () => {
        const now = held;
        held = undefined;
        if (now) await write(now.token, encode("free", now.beat + 1));
      }),
  };
}

/** Who holds a lock: judged by how long its file has stood there without a beat, as far as we have looked. */
function createJudge(usual: number) {
  let seen: { readonly text: string; readonly token: number; readonly since: number } | undefined;
  return ({ token, text, holding }: Latest): string | undefined => {
    if (holding?.state === "free") return undefined;
    if (seen?.token !== token || seen.text !== text) seen = { text, token, since: monotonic() };
    if (monotonic() - seen.since > (holding?.ttl ?? usual) * 1000) return undefined;
    return holding?.contender ?? "an unreadable file";
  };
}

function decode(text: string): Holding | undefined {
  try {
    const { contender, ttl, state, beat } = JSON.parse(text) as Partial<Record<keyof Holding, unknown>>;
    if (typeof contender !== "string" || typeof ttl !== "number" || typeof beat !== "number")
      return undefined;
    return state === "held" || state === "free" ? { contender, ttl, state, beat } : undefined;
  } catch {
    return undefined;
  }
}
