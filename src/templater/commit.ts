import { rm } from "node:fs/promises";
import { destinationError, type Live } from "./destination.ts";
import { sha256 } from "./hash.ts";
import type { Intent, Intents } from "./intents.ts";
import { type Staged, stage } from "./stage.ts";
import { swap } from "./swap.ts";
import type { Target } from "./target.ts";

/** A file that is to become a live one, or that is to go. */
export interface Pending {
  readonly target: Target;
  readonly bytes: Uint8Array;
  /** SHA-256 (hex) of the bytes; empty for no file. */
  readonly hash: string;
  readonly live: Live;
  /** Undefined: there is to be no file. */
  readonly staged: Staged | undefined;
}

/** Takes a live file away, with the others of its group. */
export function removal(target: Target, live: Live): Pending {
  return { target, bytes: Buffer.alloc(0), hash: "", live, staged: undefined };
}

/** What a commit tells. */
export interface CommitOptions {
  /** A file was written in place. */
  inPlace(target: Target): void;
  /** From here on a process that dies leaves a promise that the next one keeps. */
  readonly begun?: (() => void) | undefined;
}

/**
 * Swaps the files of a group, all of them or none. One file is swapped by a rename and needs no more. Several
 * are promised on the disk first: a process that dies in between leaves the promise, and the next one keeps it.
 * When one cannot be swapped, the others get back what they had. Rejects with DESTINATION and FAILED.
 */
export async function commit(
  files: readonly Pending[],
  intents: Intents,
  { inPlace, begun }: CommitOptions,
): Promise<void> {
  const group = files[0]?.target.group;
  if (files.length < 2 || group === undefined) return swapEach(files, inPlace);
  await intents.begin(group, files.map(promised));
  begun?.();
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
  staged: staged?.path,
  hash,
});

async function swapEach(
  files: readonly Pending[],
  inPlace: (target: Target) => void,
  done: Pending[] = [],
): Promise<void> {
  for (const file of files) {
    const { target, bytes, live, staged } = file;
    if (staged) await swap(staged, bytes, target, live, () => inPlace(target));
    else await rm(live.path, { force: true }).catch((error) => fail(live.path, error));
    done.push(file);
  }
}

/** The same the other way round: what was there before is staged, promised and swapped in. */
async function takeBack(done: readonly Pending[], group: string, intents: Intents): Promise<void> {
  const before: Pending[] = [];
  for (const { target, live, staged } of done) {
    await staged?.remove();
    if (live.file === undefined) {
      before.push(removal(target, live));
      continue;
    }
    const { bytes, mode } = live.file;
    // As it was: what the target says of mode and owner holds for what it renders.
    const { owner: _, ...plain } = target;
    const old = await stage(bytes, { ...plain, mode }, live);
    before.push({ target, bytes, hash: sha256(bytes), live, staged: old });
  }
  try {
    await intents.begin(group, before.map(promised));
    await swapEach(before, () => {});
  } finally {
    for (const { staged } of before) await staged?.remove();
  }
}

function fail(path: string, error: unknown): never {
  throw destinationError(path, error);
}
