import { cpSync } from "node:fs";
import { join } from "node:path";
import { exec } from "../servers/exec.ts";

/** Makes a checkout in which everything is built, with the packages that the program needs to run. */
export async function copyBuilt(to: string): Promise<void> {
  await exec(process.execPath, ["image/program.mjs", to]);
  for (const name of ["Dockerfile", "image", "examples", "package-lock.json"])
    cpSync(name, join(to, name), { recursive: true });
}
