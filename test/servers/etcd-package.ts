// A newer etcd of the archive (3.5), for what a release's own, older one cannot show.
import { join } from "node:path";
import { exec } from "./exec.ts";
import { ensureInstalled } from "./install.ts";
import { withLock } from "./lock.ts";
import { readable } from "./programs.ts";
import { stateDir } from "./run.ts";
import { fetchUnpacked, type Unpacked, unpackedHome } from "./unpacked.ts";

/** Which etcd: the installed one, or one of 3.5 at least. */
export type EtcdRelease = "installed" | "newer";

const etcd: Unpacked = {
  name: "etcd-newer",
  suites: { debian: { suite: "trixie", component: "main" } },
  packages: ["etcd-server"],
  wayOut: "install etcd 3.5 or newer",
};

/**
 * The program of a release; the newer one is fetched once and kept in the cache (10 MB).
 * @throws an error that says what could not be had, and the way out
 */
export async function etcdProgram(release: EtcdRelease): Promise<string> {
  const installed = (await ensureInstalled(["etcd"])).etcd.etcd;
  if (release === "installed" || (await minorVersion(installed)) >= 5) return installed;
  const program = join(unpackedHome(etcd), "usr/bin/etcd");
  if (readable(program) === undefined) {
    await withLock(join(stateDir, "install.lock"), 900_000, async () => {
      if (readable(program) === undefined) await fetchUnpacked(etcd);
    });
  }
  return program;
}

async function minorVersion(program: string): Promise<number> {
  return Number(/etcd Version: 3\.(\d+)/.exec(await exec(program, ["--version"]))?.[1] ?? 0);
}
