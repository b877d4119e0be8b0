import { readFile } from "node:fs/promises";
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from "diff";
import { coded } from "../errors.ts";

/** A unified diff from the live file to `text`; empty when they are equal. Rejects with DESTINATION. */
export async function diffWithLive(destination: string, text: string): Promise<string> {
  const live = await readLive(destination);
  if (live === text) return "";
  const name = live === undefined ? "/dev/null" : destination;
  return createTwoFilesPatch(name, destination, live ?? "", text, "live", "rendered", {
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
