import { statSync } from "node:fs";
import { basename } from "node:path";
import type { Environment } from "../run-command.ts";
import { readTextFile, type TextFile } from "./text-file.ts";
import type { World } from "./view.ts";

/** Names of variables, keys and files whose values are secrets. */
const secretName = /token|key|secret|pass|pwd|auth|cred|sig/i;

/** Variables in which a shell keeps folders: every path that begins with one would be masked. */
const folders = new Set(["PWD", "OLDPWD"]);

/** Shorter values are no secrets, and occur in any text. */
const leastSecret = 4;

/** The oldest are forgotten first: one that was exchanged so often is none any more. */
const mostSecrets = 2_000;

const mask = "…";

/**
 * The secrets that templates could read while this process has run. An operator's template writes them into its file;
 * no log, journal, status or diff may hold them.
 */
export interface KnownSecrets {
  /** Reads a file for a template. It is secret when its name says so, or when not everybody may read it. */
  file(path: string): TextFile;
  /** Takes note of values whose keys, and of containers' variables whose names, say that they are secret. */
  note(world: Pick<World, "keys" | "containers">): void;
  /** The text without them. */
  mask(text: string): string;
  /**
   * A unified diff without them. Whatever was changed together with one and comes from an old file is masked as a
   * whole: it may hold one that nobody knows any more. Its new side was rendered now, or is old as well.
   */
  maskDiff(diff: string, isRendered: boolean): string;
}

/** Begins with what the process's own variables hold. */
export function createKnownSecrets(env: Environment): KnownSecrets {
  const known = new Set<string>();
  const add = (value: string | undefined) => {
    for (const line of (value ?? "").split("\n").map((one) => one.trim())) {
      if (line.length < leastSecret) continue;
      for (const written of [line, JSON.stringify(line).slice(1, -1), Buffer.from(line).toString("base64")]) {
        known.delete(written);
        known.add(written);
      }
    }
    for (const oldest of known) {
      if (known.size <= mostSecrets) break;
      known.delete(oldest);
    }
  };
  const addNamed = (entries: Iterable<readonly [name: string, value: string | undefined]>) => {
    for (const [name, value] of entries) if (secretName.test(name)) add(value);
  };
  addNamed(Object.entries(env).filter(([name]) => !folders.has(name)));

  const maskAll = (text: string) => {
    let left = text;
    // The longer ones first: one may be a part of another.
    for (const secret of [...known].sort((a, b) => b.length - a.length)) left = left.replaceAll(secret, mask);
    return left;
  };

  return {
    file(path) {
      const read = readTextFile(path);
      if ("text" in read && (secretName.test(basename(path)) || !isForAll(path))) add(read.text);
      return read;
    },
    note({ keys, containers }) {
      if (typeof keys === "object") {
        addNamed(keys.keys);
        for (const tree of keys.trees.values()) addNamed(tree);
      }
      if (typeof containers === "object")
        for (const { env } of containers.containers) addNamed(Object.entries(env));
    },
    mask: maskAll,
    maskDiff(diff, isRendered) {
      const old = isRendered ? /^(-).*/gm : /^([-+]).*/gm;
      return maskAll(diff).replace(/^(?:-(?!-- ).*\n?|\+(?!\+\+ ).*\n?)+/gm, (lines) => maskOld(lines, old));
    },
  };
}

function isForAll(path: string): boolean {
  return ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o004) !== 0;
}

/** Lines that were changed together. Those of an old file hold nothing that is sure to be known. */
function maskOld(lines: string, old: RegExp): string {
  return lines.includes(mask) ? lines.replace(old, `$1${mask}`) : lines;
}
