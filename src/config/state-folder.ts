import { access, constants, mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { CommandName } from "./command-name.ts";
import type { Env } from "./settings.ts";

/**
 * The default state folder of a command: the system's, or the user's where that one cannot be written. It
 * exists when this is the system's.
 */
export async function defaultStateFolder(
  command: CommandName,
  env: Env,
  system = "/var/lib/portolan/state",
): Promise<string> {
  const folder = join(system, command);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await access(folder, constants.W_OK);
    return folder;
  } catch {
    return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), ".local", "state"), "portolan", command);
  }
}
