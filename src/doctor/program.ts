import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import type { Finding } from "./finding.ts";

/** Whether a program can be started under this name: a path, or a name that the PATH leads to. */
export async function isProgram(name: string, path: string | undefined): Promise<boolean> {
  const candidates = name.includes("/")
    ? [name]
    : (path ?? "/usr/bin:/bin").split(delimiter).map((folder) => join(folder, name));
  for (const candidate of candidates) {
    const isThere = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return true;
  }
  return false;
}

/** A program that is not there. */
export function missing(destination: string, program: string, means: string): Finding {
  return {
    about: destination,
    level: "wrong",
    found: `${program}: no such program`,
    means,
    wayOut: "install it, or give its absolute path",
  };
}
