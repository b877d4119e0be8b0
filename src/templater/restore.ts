import { unsure } from "./accepted.ts";
import { type CommitOptions, commit, type Pending, removal } from "./commit.ts";
import { confine } from "./confine.ts";
import { type Live, readLive } from "./destination.ts";
import { sha256 } from "./hash.ts";
import type { Part } from "./part.ts";
import type { Records } from "./records.ts";
import { ReloadError } from "./reload/index.ts";
import { stage } from "./stage.ts";
import type { Target } from "./target.ts";
import type { Way } from "./ways.ts";

/** What has to be known to put files back. */
export interface Restoration {
  /** The files that were refused. */
  readonly parts: readonly Part[];
  /** Every way of reloading that they have, with what each has taken. */
  readonly ways: readonly Way[];
  readonly records: Records;
  readonly inPlace: CommitOptions["inPlace"];
}

/**
 * Puts the last good files back after a reload that failed, so that a proxy that is started anew gets what
 * works; gives the error to throw, whose `left` says what all proxies of the files run with. Where nobody was
 * there to be told, the new files stay: they have passed their checks, and the proxy finds them when it starts.
 */
export async function restore(error: ReloadError, restoration: Restoration): Promise<ReloadError> {
  if (error.left === "none") return error;
  const { parts, ways, records, inPlace } = restoration;
  const { accepted, intents } = records;
  const pending: Pending[] = [];
  let left = error.left;
  try {
    const goods = await Promise.all(parts.map((part) => lastGood(part, records)));
    for (const [index, part] of parts.entries()) {
      const { target } = part;
      const good = goods[index];
      const live = await readLive(target.destination);
      await confine(target, live.path);
      if (good && sha256(good) === part.hash) continue;
      if (good) pending.push(await restored(good, part, live));
      // A file that came with the others goes with them.
      else if (goods.some(Boolean) && acceptedOf(target, records) === undefined && live.file)
        pending.push(removal(target, live));
    }
    if (!ways.every((way) => pending.every(way.has))) left = "open";
    // Not known any more what some proxy runs with: a reload is owed, also after a crash from here on.
    if (left === "open")
      for (const { target } of parts) {
        const { destination } = target;
        const known = ways.map((way) => way.runsWith(destination));
        // Where the state folder is full, this process knows it all the same.
        if (accepted.get(destination) !== unsure) await accepted.forget(destination).catch(() => {});
        for (const [index, way] of ways.entries()) {
          const hash = known[index];
          if (hash === undefined) way.unsure(destination);
          else way.took(destination, hash);
        }
      }
    await commit(pending, intents, { inPlace });
  } catch (failure) {
    const why = failure instanceof Error ? failure.message : String(failure);
    return new ReloadError(left, `${error.message}\nthe last good file was not put back: ${why}`, {
      cause: error,
    });
  } finally {
    for (const { staged } of pending) await staged?.remove();
  }
  if (pending.length === 0)
    return left === error.left ? error : new ReloadError(left, error.message, { cause: error });
  const names = pending.map(({ target }) => target.destination).join(", ");
  return new ReloadError(left, `${error.message}\nthe last good file is back: ${names}`, {
    cause: error,
    restored: true,
  });
}

async function restored(bytes: Buffer, { target }: Part, live: Live): Promise<Pending> {
  return { target, bytes, hash: sha256(bytes), live, staged: await stage(bytes, target, live) };
}

/**
 * What the proxies accepted last; where that is not known, the newest backup. One that is older than what was
 * accepted, because the state folder was full, is none.
 */
async function lastGood({ target, live }: Part, records: Records): Promise<Buffer | undefined> {
  const accepted = acceptedOf(target, records);
  if (live.file && sha256(live.file.bytes) === accepted) return live.file.bytes;
  const newest = await records.backups.last(target.destination);
  return newest && (accepted === undefined || sha256(newest) === accepted) ? newest : undefined;
}

/** SHA-256 (hex) of what the proxies accepted last, as far as that is known. */
function acceptedOf({ destination }: Target, { accepted }: Records): string | undefined {
  const known = accepted.get(destination);
  return known === unsure ? undefined : known;
}
