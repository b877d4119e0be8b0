import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "../durable.ts";
import { coded } from "../errors.ts";
import type { StateDir } from "../state-dir.ts";
import { sha256 } from "./hash.ts";
import { keptName } from "./kept-name.ts";

/**
 * The files that proxies have accepted, the newest last, in the state folder: beside the destination, the
 * globs of some programs would find them. Each is `backups/<name>.<hash of its path>/<number>.<hash>`; the
 * hash in the name tells one that was torn by a crash.
 */
export interface Backups {
  /** Adds what is accepted now, unless it is the newest, and keeps `earlier` others. Rejects with FAILED. */
  keep(destination: string, bytes: Uint8Array, earlier: number): Promise<void>;
  /** The one that was accepted last; undefined when there is none. Rejects with FAILED. */
  last(destination: string): Promise<Buffer | undefined>;
  /** The one with this SHA-256 (hex); undefined when it is not kept any more. Rejects with FAILED. */
  find(destination: string, hash: string): Promise<Buffer | undefined>;
  /** All that are whole, the newest first. Rejects with FAILED. */
  all(destination: string): Promise<readonly Buffer[]>;
}

/** How many digits of the hash stand in a name. */
const digits = 32;

/** The backups in a state folder. */
export function openBackups(state: Pick<StateDir, "path">): Backups {
  const folderOf = (destination: string) => join(state.path, "backups", keptName([destination]));

  const usable = async <T>(folder: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw coded("FAILED", error, `backups in ${folder} cannot be used: `);
    }
  };

  /** The numbers and names, the newest first. */
  const entries = async (folder: string) => {
    const names = await readdir(folder).catch((error: unknown) => {
      if (hasCode(error, "ENOENT")) return [];
      throw error;
    });
    return names
      .flatMap((name) => {
        const { number, hash } = /^(?<number>\d+)\.(?<hash>[0-9a-f]+)$/.exec(name)?.groups ?? {};
        return number === undefined || hash === undefined ? [] : [{ name, number: Number(number), hash }];
      })
      .sort((a, b) => b.number - a.number);
  };

  const read = async (folder: string, { name, hash }: { name: string; hash: string }) => {
    const bytes = await readFile(join(folder, name));
    return sha256(bytes).slice(0, digits) === hash ? bytes : undefined;
  };

  return {
    keep: (destination, bytes, earlier) => {
      const folder = folderOf(destination);
      return usable(folder, async () => {
        const hash = sha256(bytes).slice(0, digits);
        const known = await entries(folder);
        const [newest] = known;
        if (newest?.hash === hash && (await read(folder, newest)) !== undefined) return;
        await mkdir(folder, { recursive: true, mode: 0o700 });
        const number = String((newest?.number ?? 0) + 1).padStart(6, "0");
        await writeFile(join(folder, `${number}.${hash}`), bytes, { mode: 0o600 });
        for (const { name } of known.slice(earlier)) await rm(join(folder, name), { force: true });
      });
    },
    last: async (destination) => {
      const folder = folderOf(destination);
      return usable(folder, async () => {
        for (const entry of await entries(folder)) {
          const bytes = await read(folder, entry);
          if (bytes !== undefined) return bytes;
        }
        return undefined;
      });
    },
    find: (destination, hash) => {
      const folder = folderOf(destination);
      return usable(folder, async () => {
        const known = await entries(folder);
        for (const entry of known.filter((one) => hash.startsWith(one.hash))) {
          const bytes = await read(folder, entry);
          if (bytes !== undefined) return bytes;
        }
        return undefined;
      });
    },
    all: (destination) => {
      const folder = folderOf(destination);
      return usable(folder, async () => {
        const found = await Promise.all((await entries(folder)).map((entry) => read(folder, entry)));
        return found.filter((bytes) => bytes !== undefined);
      });
    },
  };
}
