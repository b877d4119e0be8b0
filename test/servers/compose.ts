import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureInstalled } from "./install.ts";
import { tempDir } from "./run.ts";

/**
 * Makes a folder for the front of a PATH, in which `docker` also knows `docker compose` where that is a program of its
 * own, as in Debian 12. Resolves with the folder.
 */
export async function installCompose(): Promise<string> {
  const { docker, compose } = await ensureInstalled(["docker", "compose"]);
  const bin = tempDir("bin");
  const script = `#!/bin/sh
if [ "$1" = compose ]; then
  shift
  exec ${compose.compose} "$@"
fi
exec ${docker.docker} "$@"
`;
  writeFileSync(join(bin, "docker"), script, { mode: 0o755 });
  return bin;
}
