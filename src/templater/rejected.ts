import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { StateDir } from "../state-dir.ts";
import { keptName } from "./kept-name.ts";
import type { Target } from "./target.ts";

/**
 * The text that a check refused last, one for each target, so that a person can try it: `rejected/<name>.<hash>` in
 * the state folder, readable by nobody else. Nothing here rejects: the refusal itself is what counts.
 */
export interface Rejected {
  /** Keeps a text instead of the one before. Its path; undefined where it could not be written. */
  keep(target: Named, bytes: Uint8Array): Promise<string | undefined>;
  /** Removes it: the target has a text that was accepted. */
  drop(target: Named): Promise<void>;
}

/** A target, or one of the files of a `forEach` target, which share one name. */
type Named = Pick<Target, "destination" | "partOf">;

/** What is kept in a state folder. */
export async function openRejected({ path }: Pick<StateDir, "path">): Promise<Rejected> {
  const folder = join(path, "rejected");
  const nameOf = ({ destination, partOf }: Named) => keptName([partOf ?? destination]);
  const kept = new Set(await readdir(folder).catch(() => []));
  return {
    async keep(target, bytes) {
      const name = nameOf(target);
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        kept.add(name);
        await writeFile(join(folder, name), bytes, { mode: 0o600 });
        return join(folder, name);
      } catch {
        return undefined;
      }
    },
    async drop(target) {
      const name = nameOf(target);
      if (kept.delete(name)) await rm(join(folder, name), { force: true }).catch(() => {});
    },
  };
}
