import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { tempDir } from "../servers/run.ts";
import { buildProgram } from "./build-program.ts";
import type { Result } from "./result.ts";

const root = join(import.meta.dirname, "../..");

/** Rendering beside bare Handlebars, in a process of its own, and built as the product is. */
export async function benchRender(): Promise<readonly Result[]> {
  const program = await buildProgram("render/main.ts");
  const args = ["--expose-gc", program, root, tempDir("bench-render")];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1024 * 1024 });
  return JSON.parse(stdout) as readonly Result[];
}
