import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";

/** A file's text, or why there is none: half a sentence. */
export type TextFile = { readonly text: string } | { readonly problem: string };

/** The most bytes that a template may read from one file. */
const largest = 1024 * 1024;

/** Reads a whole text file, or says why that cannot be. Never waits: a pipe or device is refused. */
export function readTextFile(path: string): TextFile {
  let descriptor: number | undefined;
  try {
    // Not blocking, so that opening a pipe that nobody writes to comes back.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return { problem: "is not a file" };
    if (stat.size > largest) return { problem: `is larger than ${largest / 1024 / 1024} MB` };
    const text = new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(descriptor));
    return { text };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return { problem: "does not exist" };
    if (error instanceof TypeError) return { problem: "is not a text in UTF-8" };
    return { problem: `cannot be read: ${error instanceof Error ? error.message : String(error)}` };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
