import { rm } from "node:fs/promises";
import { destinationError, type Live } from "./destination.ts";
import { sha256 } from "./hash.ts";
import type { Intent, Intents } from "./intents.ts";
import { type Staged, stage } from "./stage.ts";
import { swap } from "./swap.ts";
import type { Target } from "./target.ts";

/** A staged text that is to become a live file. */
export interface Pending {
  readonly target: Target;
  readonly bytes: Buffer;
  readonly hash: string;
  readonly live: Live;
  readonly staged: Staged;
}

/**
 * Swaps the files of a group, all of them or none. One file is swapped by a rename and needs no more. Several
 * are promised on the disk first: a process that dies in between leaves the promise, and the next one keeps it.
 * When one cannot be swapped, the others get back what they had. Rejects with DESTINATION and FAILED.
 */
export async function commit(
  files: readonly Pending[],
  intents: Intents,
  inPlace: (target: Target) => void,
): Promise<void> {
  const group = files[0]?.target.group;
  if (files.length < 2 || group === undefined) return swapEach(files, inPlace);
  await intents.begin(group, files.map(promised));
  const done: Pending[] = [];
  try {
    await swapEach(files, inPlace, done);
  } catch (error) {
    await takeBack(done, group, intents);
    await intents.end(group);
    throw error;
  }
  await intents.end(group);
}

const promised = ({ live, staged, hash }: Pending): Intent => ({
  path: live.path,
  staged: staged.path,
  hash,
});

async function swapEach(
  files: readonly Pending[],
  inPlace: (target: Target) => void,
  done: Pending[] = [],
): Promise<void> {
  for (const file of files) {
    const { target, bytes, live, staged } = file;
    await swap(staged.path, bytes, target, live, () => inPlace(target));
    done.push(file);
  }
}

/** The same the other way round: what was there before is staged, promised and swapped in. */
async function takeBack(done: readonly Pending[], group: string, intents: Intents): Promise<void> {
  const before: (Pending | Intent)[] = [];
  for (const { target, live, staged } of done) {
    await staged.remove();
    if (live.file === undefined) {
      before.push({ path: live.path, staged: undefined, hash: "" });
      continue;
    }
    const { bytes, mode } = live.file;
    // As it was: what the target says of mode and owner holds for what it renders.
    const { owner: _, ...plain } = target;
    const old = await stage(bytes, { ...plain, mode }, live);
    before.push({ target, bytes, hash: sha256(bytes), live, staged: old });
  }
  try {
    await intents.begin(
      group,
      before.map((file) => ("live" in file ? promised(file) : file)),
    );
    for (const file of before) {
      if ("live" in file) await swapEach([file], () => {});
      else await rm(file.path, { force: true }).catch((error) => fail(file.path, error));
    }
  } finally {
    for (const file of before) if ("live" in file) await file.staged.remove();
  }
}

function fail(path: string, error: unknown): never {
  throw destinationError(path, error);
}
