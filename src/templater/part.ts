import { dirname } from "node:path";
import { type Live, readLive } from "./destination.ts";
import { sha256 } from "./hash.ts";
import { sweep } from "./stage.ts";
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
}

/** The hash of no file. */
export const noFile = "";

/** Looks at the live file. Rejects with DESTINATION. */
export async function look({ text, target }: File): Promise<Part> {
  const live = await readLive(target.destination);
  await sweep(dirname(live.path));
  if (text === undefined)
    return { target, bytes: Buffer.alloc(0), hash: noFile, live, isLive: live.file === undefined };
  const bytes = typeof text === "string" ? Buffer.from(text) : Buffer.from(text);
  return { target, bytes, hash: sha256(bytes), live, isLive: live.file?.bytes.equals(bytes) ?? false };
}
