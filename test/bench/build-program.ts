import { join } from "node:path";
import { build } from "tsup";

const root = join(import.meta.dirname, "../..");

/** Builds a program of the bench, a file below this folder, as the product is built, and returns the executable. */
export async function buildProgram(file: string): Promise<string> {
  // Beside the packages, so that it finds them.
  const outDir = join(root, "node_modules/.cache/portolan-bench", String(process.pid), file);
  await build({
    entry: { main: join(import.meta.dirname, file) },
    format: ["esm"],
    target: "node20",
    platform: "node",
    config: false,
    outDir,
    // A client is loaded when it is used.
    splitting: true,
    silent: true,
  });
  return join(outDir, "main.js");
}
