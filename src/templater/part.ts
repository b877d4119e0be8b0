import { dirname } from "node:path";
import { confine } from "./confine.ts";
import { type Live, type Place, placeOf, readLive } from "./destination.ts";
import { sha256 } from "./hash.ts";
import { type Staged, sweep } from "./stage.ts";
import type { Target } from "./target.ts";

/** What is to stand at a target's destination: a rendered text, bytes that need not be one, or undefined: nothing. */
export interface File {
  readonly text: string | Uint8Array | undefined;
  readonly target: Target;
}

/** A file, and how it stands. */
export interface Part {
  readonly target: Target;
  readonly bytes: Buffer;
  /** SHA-256 (hex) of the bytes; `noFile` when there is to be none. */
  readonly hash: string;
  readonly live: Live;
  readonly isLive: boolean;
  /** The staged file that is to take its place, where that was begun ahead. */
  readonly staging?: Promise<Staged>;
}

/** The hash of no file. */
export const noFile = "";

/** Finds out where a target's file is to stand, and whether it may. Rejects with DESTINATION. */
async function locate(target: Target): Promise<Place> {
  const place = await placeOf(target.destination);
  // A way without links leads nowhere else.
  if (target.roots || place.path !== target.destination) await confine(target, place.path);
  await sweep(dirname(place.path));
  return place;
}

/** Looks at the live file. Rejects with DESTINATION. */
export async function look({ text, target }: File): Promise<Part> {
  const bytes = typeof text === "string" ? Buffer.from(text) : text && Buffer.from(text);
  const live = await readLive(target.destination, locate(target), bytes);
  if (bytes === undefined)
    return { target, bytes: Buffer.alloc(0), hash: noFile, live, isLive: live.file === undefined };
  return { target, bytes, hash: sha256(bytes), live, isLive: live.file?.bytes.equals(bytes) ?? false };
}
