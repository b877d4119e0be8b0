import { type Browser, chromium } from "playwright-core";
import { ensureInstalled } from "./install.ts";

/** Starts the machine's own Chromium without a window. Close it. */
export async function startChromium(): Promise<Browser> {
  const programs = await ensureInstalled(["chromium"]);
  // As root, which tests are, it refuses to run in its sandbox; it sees our own pages only.
  return chromium.launch({ executablePath: programs.chromium.chromium, args: ["--no-sandbox"] });
}
