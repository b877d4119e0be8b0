// apt-get, for machines that people also use for other things.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { exec } from "./exec.ts";

/** Options that every apt-get call gets: it asks nothing, and waits up to 300 s for another one to finish. */
export const quietly: readonly string[] = ["-y", "-qq", "-o", "DPkg::Lock::Timeout=300"];

/** The environment that every apt-get call gets. */
export const noQuestions = { DEBIAN_FRONTEND: "noninteractive", NEEDRESTART_SUSPEND: "1" } as const;

/** apt-get's own deadline, in ms: a slow mirror is not an error. */
export const aptWithin = 480_000;

/**
 * Installs packages from the machine's sources, without recommendations and without starting their services.
 * A name that the sources do not know is left out: the caller looks at what it got.
 */
export async function installPackages(packages: readonly string[]): Promise<void> {
  await exec("apt-get", ["update", ...quietly], { env: noQuestions, within: aptWithin });
  const known: string[] = [];
  for (const name of packages) {
    if (await isKnown(name)) known.push(name);
  }
  if (known.length === 0) return;
  // Java's packages link manual pages there, and fail where a slim system has no such folder.
  mkdirSync("/usr/share/man/man1", { recursive: true });
  await withoutServices(() =>
    exec("apt-get", ["install", ...quietly, "--no-install-recommends", ...known], {
      env: noQuestions,
      within: aptWithin,
    }),
  );
}

/** Whether the machine's sources have a package of that name. */
export async function isKnown(name: string): Promise<boolean> {
  return exec("apt-cache", ["show", "--no-all-versions", name]).then(
    (text) => text.trim() !== "",
    () => false,
  );
}

const policy = "/usr/sbin/policy-rc.d";
const ourPolicy =
  "#!/bin/sh\n# Made by portolan's test/servers/apt.ts while it installs packages.\nexit 101\n";

/** Does `work` while Debian's policy-rc.d forbids packages to start services; a policy that is there stays. */
async function withoutServices(work: () => Promise<unknown>): Promise<void> {
  try {
    writeFileSync(policy, ourPolicy, { mode: 0o755, flag: "wx" });
  } catch {
    // There is one already: the machine's own, or ours from an install that was cut off.
  }
  try {
    await work();
  } finally {
    if (readFileSync(policy, "utf8") === ourPolicy) rmSync(policy);
  }
}
