import { readFile } from "node:fs/promises";
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from "diff";
import { coded } from "../errors.ts";

/**
 * A unified diff from the live file to `text`, which is undefined for a file that is to go; empty when they are
 * equal. Rejects with DESTINATION.
 */
export async function diffWithLive(destination: string, text: string | undefined): Promise<string> {
  const live = await readLive(destination);
  if (live === text) return "";
  const nameOf = (content: string | undefined) => (content === undefined ? "/dev/null" : destination);
  return createTwoFilesPatch(nameOf(live), nameOf(text), live ?? "", text ?? "", "live", "rendered", {
    context: 3,
    headerOptions: FILE_HEADERS_ONLY,
  });
}

async function readLive(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw coded("DESTINATION", error);
  }
}
