import { readLive } from "./destination.ts";
import type { File } from "./part.ts";
import type { Swapped } from "./verdicts.ts";

/** What would have changed if these files had gone live. A file that cannot be read is left out. */
export async function refusedFiles(files: readonly File[]): Promise<readonly Swapped[]> {
  const all = await Promise.all(
    files.map(async ({ text, target: { destination } }): Promise<readonly Swapped[]> => {
      try {
        const before = (await readLive(destination)).file?.bytes;
        const after = text === undefined ? undefined : Buffer.from(text);
        const isSame =
          before === undefined ? after === undefined : after !== undefined && before.equals(after);
        return isSame ? [] : [{ destination, before, after }];
      } catch {
        return [];
      }
    }),
  );
  return all.flat();
}
