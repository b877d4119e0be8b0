import { access, constants, mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { CommandName } from "./command-name.ts";
import type { Env } from "./settings.ts";

/** The commands that have a state folder. */
const keepers = ["registrator", "templater", "agent"] as const;

/** Every folder that may be the default state folder of a command that runs on this host. Creates nothing. */
export function stateFolders(env: Env, system = "/var/lib/portolan/state"): readonly string[] {
  return keepers.flatMap((command) => [join(system, command), userFolder(command, env)]);
}

/**
 * The state folder that a templater has by default, be it alone or in an agent: the first one that holds the
 * notes of one, else the templater's. Creates nothing.
 */
export async function templaterStateFolder(env: Env, system = "/var/lib/portolan/state"): Promise<string> {
  const [first = join(system, "templater")] = await templaterStateFolders(env, system);
  return first;
}

/** The default state folders that hold the notes of a templater, be it alone or in an agent. */
export async function templaterStateFolders(
  env: Env,
  system = "/var/lib/portolan/state",
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const command of ["templater", "agent"] as const)
    for (const folder of [join(system, command), userFolder(command, env)]) {
      const isThere = await access(join(folder, "accepted.json")).then(
        () => true,
        () => false,
      );
      if (isThere) found.push(folder);
    }
  return found;
}

function userFolder(command: CommandName, env: Env): string {
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), ".local", "state"), "portolan", command);
}

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
    return userFolder(command, env);
  }
}
